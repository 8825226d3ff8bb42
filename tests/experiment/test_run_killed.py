"""Kill -9 at any moment, the same command again: the same weights, predictions and figures."""

import random
import time

import pytest
import yaml

from smallsteps.errors import RunFolderError
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from tiny_runs import lasting, rows_of, tiny_content, weights

POINTS = [
    "before-manifest:data",
    "after:data",
    "before-manifest:arms/direct-seed0/training",
    "after:arms/direct-seed0/answers",
    "before-manifest:segments/ent-seed0",
    "before-manifest:arms/ases-uni-ent-seed0/answers",
    "before-manifest:gold",
    "after:results",
]


@pytest.fixture(scope="module")
def uninterrupted(command, tmp_path_factory):
    """(arguments of the run but for its folder, the folder of one that nobody disturbed, its
    seconds)."""
    place = tmp_path_factory.mktemp("whole")
    (place / "tiny.yaml").write_text(
        yaml.safe_dump(tiny_content(arms=["direct", "ases-uni-ent"], train={"budget": 3000}))
    )
    arguments = ("run", str(place / "tiny.yaml"), "--threads", "1", "--out")
    began = time.monotonic()
    assert command(*arguments, str(place / "run")) == 0, command.errors()
    return arguments, place / "run", time.monotonic() - began


def answers(out):
    """What was written, seconds apart."""
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for path in sorted(out.glob("arms/*/*/predictions.jsonl"))
        for row in rows_of(path)
    ]


def assert_same(whole, other):
    assert (other / "report.html").is_file()
    first, second = (lasting(read_results(path)) for path in (whole, other))
    assert first == second
    assert weights(whole) == weights(other)
    assert answers(whole) == answers(other) != []


def test_a_run_killed_in_every_stage_ends_the_same(command, uninterrupted, tmp_path):
    arguments, whole, _ = uninterrupted
    out = tmp_path / "cut"
    for point in POINTS:
        assert command(*arguments, str(out), fail_at=point) == -9, f"{point}: {command.errors()}"
    assert command(*arguments, str(out)) == 0, command.errors()
    assert_same(whole, out)


def killed_at_random(command, uninterrupted, out, times, seed):
    """Kills a run so often, each time at a moment of what a whole one takes, and starts again where
    one got through."""
    arguments, whole, seconds = uninterrupted
    rng, kills, folder = random.Random(seed), 0, 0
    while kills < times:
        if (
            command(*arguments, str(out / str(folder)), limit=rng.uniform(0.05, 0.8) * seconds)
            == -9
        ):
            kills += 1
        else:
            assert_same(whole, out / str(folder))
            folder += 1
    assert command(*arguments, str(out / str(folder))) == 0, command.errors()
    assert_same(whole, out / str(folder))


def test_a_run_killed_three_times_at_random_ends_the_same(command, uninterrupted, tmp_path):
    killed_at_random(command, uninterrupted, tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_twenty_times_at_random_ends_the_same(command, uninterrupted, tmp_path):
    killed_at_random(command, uninterrupted, tmp_path, 20, seed=2)


def test_a_finished_run_is_returned_as_it_is_and_another_recipe_is_refused(recipe_of, tmp_path):
    first = run(recipe_of(), tmp_path / "run", command="smallsteps run tiny")
    second = run(recipe_of(), tmp_path / "run", command="something else")
    assert first == second
    with pytest.raises(RunFolderError, match="belongs to another recipe"):
        run(recipe_of(seeds=[7]), tmp_path / "run")
