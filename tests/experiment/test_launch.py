"""Processes of one launch work apart, each on a GPU of its own; a run shares its arms among them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import yaml

from smallsteps.experiment.launch import LAUNCHED, apart, is_reporting
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from tiny_runs import lasting, tiny_content, weights


@pytest.fixture
def launched(monkeypatch):
    """`launched(local, of, gpus, visible)`: the environment of a process of a launch."""

    def launch(local, of=4, gpus=0, visible=None):
        for name in LAUNCHED:
            monkeypatch.setenv(name, "1")
        monkeypatch.setenv("RANK", str(local))
        monkeypatch.setenv("LOCAL_RANK", str(local))
        monkeypatch.setenv("WORLD_SIZE", str(of))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return launch


@pytest.mark.parametrize(
    ("local", "gpus", "visible", "gpu"),
    [(2, 4, None, "2"), (1, 2, "5, 7", "7"), (3, 2, None, "1"), (1, 0, None, None)],
)
def test_each_process_of_a_launch_sees_one_gpu_and_no_other_process(
    launched, local, gpus, visible, gpu
):
    launched(local, gpus=gpus, visible=visible)
    before = dict(os.environ)
    with apart():
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == gpu
        assert not any(name in os.environ for name in LAUNCHED)
    assert dict(os.environ) == before


def test_a_process_that_was_started_alone_keeps_its_gpus(launched):
    launched(0, of=1, gpus=4, visible="1,2")
    with apart():
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,2"


def test_the_first_process_reports(launched):
    launched(0)
    assert is_reporting()
    launched(1)
    assert not is_reporting()


@pytest.mark.timeout(300)
def test_a_run_under_torchrun_ends_as_that_of_one_process(recipe_of, tmp_path):
    sections = {"arms": ["direct", "ases-uni-rouge"], "train": {"budget": 2000}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_content(**sections)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--threads", "1"]
    command = [*torchrun, "2", "-m", "smallsteps", *arguments, "--out", str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    two = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert two.returncode == 0, two.stderr[-3000:]
    assert two.stdout.count("best student: ") == 1, "one process prints the results"
    one = run(recipe_of(**sections), tmp_path / "one")
    assert lasting(read_results(tmp_path / "two")) == lasting(one)
    assert weights(tmp_path / "two") == weights(tmp_path / "one")
