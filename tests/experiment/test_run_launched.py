"""The processes of one launch make a run together: the results of one process, for every method;
where one dies, all end with one message, and the same command goes on, also with another number."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file

from smallsteps.experiment.results import read_results
from smallsteps.tasks.stories import make_chains
from tiny_guided import mixed_content
from tiny_runs import TINY_STUDENT, answers, tiny_content

STUDENT = {"scratch": {**TINY_STUDENT, "dropout": 0.0}}
"""Dropout differs between processes."""


@pytest.fixture
def recipe_file(tmp_path):
    def write(**sections):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tiny_content(student=STUDENT, **sections)))
        return str(path)

    return write


def assert_as_one(one, many):
    """The same answers and figures; weights up to the rounding of sums in another order."""
    first, second = read_results(one), read_results(many)
    for arm, other in zip(first.arms, second.arms, strict=True):
        assert (arm.name, arm.seed, arm.value, arm.train_tokens, arm.student) == (
            other.name,
            other.seed,
            other.value,
            other.train_tokens,
            other.student,
        )
    assert answers(one) == answers(many) != {}
    assert first.further_tests == second.further_tests
    files = sorted(path.relative_to(one) for path in one.glob("arms/**/*.safetensors"))
    assert files == sorted(path.relative_to(many) for path in many.glob("arms/**/*.safetensors"))
    assert files
    for file in files:
        here, there = load_file(one / file), load_file(many / file)
        for name, value in here.items():
            torch.testing.assert_close(value, there[name], rtol=1e-3, atol=2e-4)


@pytest.mark.timeout(300)
def test_a_run_of_two_processes_is_that_of_one(command, recipe_file, tmp_path):
    rows = [
        {"question": c.problem.question, "answer": c.problem.answer} for c in make_chains(5, 77)
    ]
    further = tmp_path / "further.jsonl"
    further.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_file(
        arms=["direct", "ases-uni-ent", "ases-dual-rouge", "base", "self-training"],
        data={"also_test": {"stories/new": str(further)}},
        train={"budget": 2000, "learning_rate": [1e-3, 2e-3], "search_share": 0.5},
        baselines={"rounds": 1, "samples": 2},
    )
    arguments = ("run", recipe, "--threads", "1", "--out")
    assert command(*arguments, str(tmp_path / "one")) == 0, command.errors()
    assert command.launched(2, *arguments, str(tmp_path / "two")) == [0, 0], command.errors()
    assert_as_one(tmp_path / "one", tmp_path / "two")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("killed", [0, 1])
def test_where_one_process_is_killed_all_end_and_another_number_goes_on(
    command, recipe_file, tmp_path, killed
):
    recipe = recipe_file(arms=["direct", "ases-uni-rouge"], train={"budget": 2000})
    arguments = ("run", recipe, "--threads", "1", "--out")
    assert command(*arguments, str(tmp_path / "one")) == 0, command.errors()
    out = tmp_path / "many"
    fail_at = "after:arms/direct-seed0/training"
    codes = command.launched(2, *arguments, str(out), fail_at={killed: fail_at})
    assert codes[killed] == -9 and codes[1 - killed] == 2, command.errors()
    assert command.errors().count("another process of this launch was killed") == 1
    assert command.launched(3, *arguments, str(out)) == [0, 0, 0], command.errors()
    assert_as_one(tmp_path / "one", out)
    assert not (out / ".locks").exists()


def write_recipe(path, content):
    path.write_text(yaml.safe_dump(content))
    return "run", str(path), "--threads", "1", "--out"


@pytest.mark.timeout(300)
def test_tailored_and_guided_arms_of_two_processes_are_those_of_one(command, server, tmp_path):
    arms = ["tailored-full", "guided-standard", "guided-distilled", "guided-both"]
    calls = []
    for processes, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        out.mkdir()
        content = mixed_content(out, server, arms=arms, student=STUDENT)
        arguments = (*write_recipe(out / "tiny.yaml", content), str(out / "run"))
        before = len(server.bodies)
        assert command.launched(processes, *arguments) == [0] * processes, command.errors()
        calls.append(len(server.bodies) - before)
    assert_as_one(tmp_path / "one" / "run", tmp_path / "two" / "run")
    assert calls[0] == calls[1], "every reply is bought once"


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def torchrun(*arguments):
    command = [*TORCHRUN, "-m", "smallsteps", *arguments, "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.timeout(300)
def test_torchrun_starts_a_run_and_one_process_prints_the_results(recipe_file, tmp_path):
    recipe = recipe_file(train={"budget": 2000})
    ended = torchrun("run", recipe, "--out", str(tmp_path / "run"))
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("best student: ") == 1
    assert ended.stderr.count("checked before training") == 1
    assert len(read_results(tmp_path / "run").arms) == 1


@pytest.mark.timeout(300)
def test_under_torchrun_a_mistake_is_one_line(recipe_file, tmp_path):
    ended = torchrun("run", recipe_file(), "train.budgett=3", "--out", str(tmp_path / "run"))
    assert ended.returncode != 0
    assert ended.stderr.count("unknown key 'train.budgett'") == 1
    assert not (tmp_path / "run").exists()


def test_a_launch_of_more_processes_than_examples_in_an_update_is_refused(
    command, recipe_file, tmp_path
):
    recipe = recipe_file(train={"budget": 2000, "update_examples": 2})
    arguments = ("run", recipe, "--threads", "1", "--out", str(tmp_path / "run"))
    assert command.launched(3, *arguments) == [2, 2, 2]
    assert "Launch at most 2 processes" in command.errors()
