"""What breaks below a run, a GPU or a disk, is one line and loses nothing: the same command goes on
and ends the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from transformers import T5ForConditionalGeneration

from smallsteps.cli.main import main
from smallsteps.errors import DeviceError
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from tiny_runs import answers, lasting, tiny_content, weights

FAULT = "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later."

FULL_DISK = """
import contextlib, io, json, os, shutil, subprocess, sys
os.fsync = lambda handle: None  # as in conftest.py
from smallsteps.cli.main import main

place, disk, sizes, *arguments = sys.argv[1:]
ends = []
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "smallsteps", disk], check=True)
for size in json.loads(sizes):
    subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        ends.append((main(arguments), said.getvalue()))
with open(f"{place}/ends.json", "w") as file:
    json.dump(ends, file)
shutil.copytree(f"{disk}/run", f"{place}/run")
"""


def results_of(folder):
    return lasting(read_results(folder)), weights(folder), answers(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(recipe file, what a run of it gives)."""
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "tiny.yaml").write_text(yaml.safe_dump(tiny_content(train={"budget": 2000})))
    assert main(["run", str(place / "tiny.yaml"), "--out", str(place / "run")]) == 0
    return place / "tiny.yaml", results_of(place / "run")


@pytest.mark.parametrize("after", [0, 3])
def test_a_gpu_that_fails_ends_the_run_with_one_line_and_the_command_goes_on(
    undisturbed, tmp_path, monkeypatch, capsys, after
):
    recipe, whole = undisturbed
    forward, calls = T5ForConditionalGeneration.forward, []

    def failing(self, *inputs, **more):
        calls.append(self)
        if len(calls) > after:
            raise torch.AcceleratorError(FAULT)
        return forward(self, *inputs, **more)

    monkeypatch.setattr(T5ForConditionalGeneration, "forward", failing)
    command = ["run", str(recipe), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the GPU failed (CUDA error: unspecified launch failure). What")
    with pytest.raises(DeviceError, match="the GPU failed"):
        run(str(recipe), tmp_path / "run")
    monkeypatch.undo()
    assert main(command) == 0
    assert results_of(tmp_path / "run") == whole


def may_mount() -> bool:
    """Whether this machine lets a process mount a disk for itself."""
    if not all(map(shutil.which, ("unshare", "mount"))):
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "smallsteps", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="no disk can be mounted here")
def test_a_disk_that_fills_again_and_again_is_one_line_each_time_and_loses_nothing(
    undisturbed, tmp_path
):
    recipe, whole = undisturbed
    disk = tmp_path / "disk"
    disk.mkdir()
    sizes = [16, 64, 128, 256, 512, 16_384]
    arguments = ["run", str(recipe), "--out", str(disk / "run")]
    program = ["unshare", "-rm", sys.executable, "-W", "ignore", "-c", FULL_DISK]
    subprocess.run(
        [*program, str(tmp_path), str(disk), json.dumps(sizes), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    *full, (code, _) = json.loads((tmp_path / "ends.json").read_text())
    for exit_code, said in full:
        lines = said.strip().splitlines()
        assert exit_code == 2 and "Traceback" not in said, said
        assert "space left on device" in lines[-1].lower() and lines[-1].startswith("error: "), said
    assert code == 0 and results_of(tmp_path / "run") == whole
