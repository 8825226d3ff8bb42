"""Kept answers, graded again, give the figure that the run reported, or are refused."""

from __future__ import annotations

import pytest

from kept_runs import PROBLEMS, make_kept_run, score_of
from smallsteps.errors import RunFolderError
from smallsteps.experiment.further import read_test_sets
from smallsteps.experiment.regrading import TestPart, regraded, regraded_further
from smallsteps.experiment.results import read_results


@pytest.fixture
def folder(tmp_path):
    return make_kept_run(tmp_path / "run", {("direct", 0): [1, 2], ("base", 0): [2]})


def test_the_score_is_that_of_the_run_with_every_grade(folder):
    direct, base = read_results(folder).arms
    part = TestPart.read(folder)
    assert [problem.id for problem in part.wholes] == [problem.id for problem in PROBLEMS]
    score = regraded(folder, direct, part, resamples=100)
    assert (score.value, score.seeds) == (direct.value, (0,))
    assert [g.value for g in score.grades] == [
        g.value for g in score_of([1, 2], 0, PROBLEMS).grades
    ]
    assert regraded(folder, base, part).value == base.value


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "the kept answers give 0.0, and the run reported 33.3"),
        (lambda path: path.write_text(path.read_text()[:-9]), "expected one JSON object"),
        (lambda path: path.write_text(path.read_text().replace('"p1"', '"x"')), "cannot be graded"),
        (
            lambda path: path.write_text(path.read_text().replace('"2"', '"3"')),
            "answers are missing",
        ),
    ],
)
def test_answers_that_are_not_those_of_the_run_are_refused(damage, message, folder):
    arm = read_results(folder).arms[0]
    damage(folder / arm.folder / "predictions.jsonl")
    with pytest.raises(RunFolderError, match=message):
        regraded(folder, arm, TestPart.read(folder))


@pytest.mark.parametrize("name", ["data.json", "problems.jsonl"])
def test_a_damaged_test_part_is_named(name, folder):
    (folder / "data" / name).write_text("{")
    with pytest.raises(RunFolderError, match="data: missing or damaged"):
        TestPart.read(folder)


def test_answers_to_further_test_sets_give_the_reported_figures_or_are_refused(tmp_path):
    right = {("direct", 0): [1, 2], ("base", 0): [2]}
    folder = make_kept_run(tmp_path / "run", right, further=["svamp", "svamp/hard"])
    direct = read_results(folder).arms[0]
    sets = read_test_sets(folder, ["svamp", "svamp/hard", "asdiv"])
    scores = regraded_further(folder, direct, sets)
    assert {name: score.value for name, score in scores.items()} == {"svamp": 50, "svamp/hard": 50}
    old = direct.model_copy(update={"further": {}})
    assert regraded_further(folder, old, sets) == {}, "an older version reported no figures"
    kept = folder / "arms/direct-seed0/further/svamp+hard.jsonl"
    kept.write_text(kept.read_text().replace('"answer": "3"', '"answer": "4"'))
    with pytest.raises(
        RunFolderError, match=r"the kept answers give 25.0, and the run reported 50.0"
    ):
        regraded_further(folder, direct, sets)
    kept.write_text(kept.read_text().replace('"q1"', '"x"'))
    with pytest.raises(RunFolderError, match="of direct to svamp/hard cannot be graded"):
        regraded_further(folder, direct, sets)
