"""The command that a run proposes next."""

from __future__ import annotations

import shlex

import pytest

from smallsteps.cli.run_summary import next_command
from smallsteps.experiment.recipe import load_recipe


@pytest.mark.parametrize("name", ["my runs/a", "a[/b]c", "it's"])
def test_the_command_that_comes_next_can_be_pasted(name, tmp_path):
    out = tmp_path / name
    command = next_command(load_recipe("demo", []), out, out / "arms/direct-seed0")
    assert shlex.split(shlex.join(command)) == [
        "smallsteps",
        "solve",
        f"{out}/arms/direct-seed0",
        "your question",
    ]
    command = next_command(load_recipe("guided/demo", []), out, out / "seed0/both")
    assert command[:4] == ["smallsteps", "guide", "questions.jsonl", "--guide"] and command[
        6
    ] == str(out / "reader")
