"""Scores do not depend on what is scored beside, and null stands where something is missing."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task

from .conftest import CHAINS, GOOD, ITEMS, PROBLEM, SCORER, scored

AGAINST_CONTEXT = ("factuality", "relevance", "logicality", "consistency")


def test_nothing_written_is_worth_nothing():
    empty = scored("  ")
    assert set(empty.scores.values()) == {0.0, None} and empty["fluency"] is None
    assert Scorer().score([Rated.of(PROBLEM, "")])[0]["naturalness"] is None


def test_references_that_are_nearly_alike_break_no_fluency():
    """Their spread is next to nothing, and e to the power of what is divided by it no float."""
    student, task = load_student("bundled", device="cpu"), get_task("facts")
    references = References(1, 9, mean=-0.1, spread=1e-9)
    items = [
        Rated.of(chain.problem, text, task)
        for chain, text in ((CHAINS[0], CHAINS[0].rationale.text), (CHAINS[1], "x y z"))
    ]
    fluencies = [
        quality["fluency"]
        for quality in Scorer(references=references, student=student, task=task).score(items)
    ]
    assert all(0 <= value <= 1 for value in fluencies) and fluencies[1] < 1e-9


@pytest.mark.parametrize("text", [GOOD, "", "Italy."])
def test_without_a_context_what_compares_with_it_is_null(text):
    bare = Rated.of(Problem("p", "Where does Ann live?", "x"), text)
    alone, beside = SCORER.score([bare])[0], SCORER.score([ITEMS[0], bare, ITEMS[1]])[1]
    assert alone == beside and all(alone[name] is None for name in AGAINST_CONTEXT)
    assert all(0 <= alone[name] <= 1 for name in ("coherence", "readability", "naturalness"))


def test_fluency_needs_a_task_beside_the_student():
    scorer = Scorer(student=load_student("bundled", device="cpu"))
    with pytest.raises(DataError, match="fluency needs a student and its task"):
        scorer.score(ITEMS[:1])


def test_scores_do_not_depend_on_what_is_scored_beside():
    together = SCORER.score(ITEMS[:20])
    assert together == [SCORER.score([item])[0] for item in ITEMS[:20]]


def test_scores_do_not_depend_on_the_blocks_in_which_they_are_reported(monkeypatch):
    items = [*ITEMS[:7], Rated.of(PROBLEM, ""), *ITEMS[7:10]]
    whole = SCORER.score(items)
    reported: list[int] = []
    monkeypatch.setattr("smallsteps.quality.scorer.BLOCK", 4)
    assert SCORER.score(items, reported.append) == whole
    assert reported == [4, 8, 11]


def test_a_quality_is_a_row_of_its_id_and_every_aspect():
    row = scored(GOOD).to_row()
    assert list(row) == ["id", *ASPECTS] and row["id"] == "p" and row["fluency"] is None
