"""What breaks below a run, a GPU or a disk, is one line and loses nothing: the same command goes on
and ends the same."""

from __future__ import annotations

import pytest
import torch
import yaml
from transformers import T5ForConditionalGeneration

from full_disk import may_mount, on_small_disk
from smallsteps.cli.main import main
from smallsteps.errors import DeviceError
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from tiny_runs import SHORT, answers, lasting, tiny_content, weights

FAULT = "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later."
RUN = ["run", "--threads", "1"]
"""Without a number each process measures which is the fastest, and sums differ."""


def results_of(folder):
    return lasting(read_results(folder)), weights(folder), answers(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(recipe file, what a run of it gives)."""
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "tiny.yaml").write_text(yaml.safe_dump(tiny_content(train={"budget": 2000})))
    assert main([*RUN, str(place / "tiny.yaml"), "--out", str(place / "run")]) == 0
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
    command = [*RUN, str(recipe), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the GPU failed (CUDA error: unspecified launch failure). What")
    with pytest.raises(DeviceError, match="the GPU failed"):
        run(str(recipe), tmp_path / "run")
    monkeypatch.undo()
    assert main(command) == 0
    assert results_of(tmp_path / "run") == whole


@pytest.mark.skipif(not may_mount(), reason="no disk can be mounted here")
def test_a_disk_that_fills_again_and_again_is_one_line_each_time_and_loses_nothing(
    undisturbed, tmp_path
):
    recipe, whole = undisturbed
    command = [*RUN, str(recipe), "--out", str(tmp_path / "disk/run")]
    sizes = [16, 128, 512, 16_384]
    *full, last = on_small_disk(
        tmp_path / "disk", tmp_path / "kept", [(size, command) for size in sizes], SHORT
    )
    for ended in full:
        line = ended.errors.strip().splitlines()[-1]
        assert ended.code == 2 and "Traceback" not in ended.errors, ended.errors
        assert line.startswith("error: ") and "no space left on device" in line.lower(), line
    assert last.code == 0 and results_of(tmp_path / "kept/run") == whole
