"""Several processes run one recipe in one folder: the same results as one process, also where some
are killed, and each may be told what to make."""

from __future__ import annotations

import random
import time

import pytest
import yaml

from smallsteps.errors import RecipeError
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.experiment.so_far import read_so_far
from tiny_runs import answers, lasting, tiny_content, weights

ARMS = ["direct", "ases-uni-ent", "ases-dual-rouge", "base"]


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory):
    """(arguments of the run but for its folder, the folder that one process made, its seconds)."""
    place = tmp_path_factory.mktemp("alone")
    content = tiny_content(
        arms=ARMS,
        seeds=[0, 1],
        train={"budget": None, "until": "plateau", "passes": 2, "patience": 2, "evaluations": 3},
    )
    (place / "tiny.yaml").write_text(yaml.safe_dump(content))
    arguments = ("run", str(place / "tiny.yaml"), "--threads", "1", "--out")
    began = time.monotonic()
    assert command(*arguments, str(place / "run")) == 0, command.errors()
    return arguments, place / "run", time.monotonic() - began


def assert_same(whole, other):
    first, second = (lasting(read_results(path)) for path in (whole, other))
    assert first == second
    assert weights(whole) == weights(other)
    assert answers(whole) == answers(other) != {}


@pytest.mark.timeout(600)
def test_three_processes_make_what_one_makes(command, alone, tmp_path):
    arguments, whole, _ = alone
    line = (*arguments, str(tmp_path / "run"))
    assert command.together(line, line, line) == [0, 0, 0], command.errors()
    assert_same(whole, tmp_path / "run")
    assert not (tmp_path / "run" / ".locks").exists()


def killed_together(command, alone, out, kills, seed):
    """Three processes at a time, of which some are killed at random moments, until so many were."""
    arguments, whole, seconds = alone
    rng, killed, folder = random.Random(seed), 0, 0
    while killed < kills:
        line = (*arguments, str(out / str(folder)))
        limits = [rng.uniform(0.05, 1.5) * seconds for _ in range(3)]
        codes = command.together(line, line, line, limits=limits)
        assert set(codes) <= {0, -9}, command.errors()
        killed += codes.count(-9)
        if 0 in codes:
            assert_same(whole, out / str(folder))
            folder += 1
    assert command(*arguments, str(out / str(folder))) == 0, command.errors()
    assert_same(whole, out / str(folder))
    assert not (out / str(folder) / ".locks").exists(), "the last deletes what killed ones left"


@pytest.mark.timeout(900)
def test_of_three_processes_some_killed_at_random_the_others_end_the_same(command, alone, tmp_path):
    killed_together(command, alone, tmp_path, 3, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_random_kills_of_three_processes_end_the_same(command, alone, tmp_path):
    killed_together(command, alone, tmp_path, 20, seed=4)


def test_a_process_makes_only_what_it_is_told_and_the_last_compares(recipe_of, listener, tmp_path):
    recipe = recipe_of(arms=["direct", "ases-uni-ent"], train={"budget": 2000})
    out = tmp_path / "run"
    first = run(recipe, out, listener, only=["ases-uni-ent@0"])
    assert [arm.name for arm in first.arms] == ["ases-uni-ent"]
    assert not (out / "arms" / "direct-seed0" / "page").exists()
    assert read_so_far(out).notice.startswith("Not finished: 1 of 2 arms")
    last = run(recipe, out, only=["direct@0"])
    assert [arm.name for arm in last.arms] == ["direct", "ases-uni-ent"]
    assert lasting(last) == lasting(run(recipe, tmp_path / "whole"))
    assert read_so_far(out).state == "finished"


def test_the_estimate_is_of_the_arms_that_this_command_makes(recipe_of, tmp_path, monkeypatch):
    """The trap: "6 h left" of a command that makes one arm of many."""
    estimated = []

    def recorded(tokens, *more, **settings):
        estimated.append((sorted(tokens), sorted(settings["trials"]), settings["work"]))
        return Forecast(tokens, *more, **settings)

    monkeypatch.setattr("smallsteps.experiment.check.Forecast", recorded)
    rates = {"budget": 300, "learning_rate": [1e-3, 1e-2], "evaluations": 1}
    recipe = recipe_of(arms=["direct", "answer-only"], seeds=[0, 1], train=rates)
    run(recipe, tmp_path / "run", only=["answer-only@1"])
    searched = [f"answer-only, seed 0, learning rate {rate}" for rate in ("0.001", "0.01")]
    assert estimated == [(["answer-only, seed 1"], searched, "this command")]


def test_what_the_recipe_does_not_have_cannot_be_made(recipe_of, tmp_path):
    with pytest.raises(
        RecipeError, match=r"--only direct@7: .* at that seed\. It has direct@0, base@0\."
    ):
        run(recipe_of(arms=["direct", "base"]), tmp_path / "run", only=["direct@0", "direct@7"])
    assert not (tmp_path / "run").exists()
