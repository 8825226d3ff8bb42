"""Kept answers, graded again, give the figure that the run reported, or are refused."""

from __future__ import annotations

import pytest

from kept_runs import PROBLEMS, make_kept_run, score_of
from smallsteps.errors import RunFolderError
from smallsteps.experiment.regrading import TestPart, regraded
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
