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

from .conftest import CHAINS, GOOD, ITEMS, PROBLEM, REFERENCES, SCORER, scored
from .scripted_judge import prompted

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


def four(aspect, messages):
    return "Score: 4"


def test_a_chat_model_rates_all_but_what_has_a_measure_of_its_own():
    rated = scored(GOOD, Scorer(prompted=prompted(four)))
    formula = scored(GOOD)["readability"]
    assert rated.scores == dict.fromkeys(ASPECTS, 0.75) | {"readability": formula}
    named = scored(GOOD, Scorer(references=REFERENCES, prompted=prompted(four)))
    assert named["naturalness"] == scored(GOOD)["naturalness"] != 0.75
    student, task = load_student("bundled", device="cpu"), get_task("facts")
    scorer = Scorer(student=student, task=task, prompted=prompted(four))
    assert "fluency" not in scorer.prompted_aspects
    assert (
        scored(GOOD, scorer)["fluency"]
        == scored(GOOD, Scorer(student=student, task=task))["fluency"]
    )


def test_a_chat_model_is_asked_nothing_about_empty_rationales_and_unwanted_aspects():
    judge = prompted(four)
    scorer = Scorer(prompted=judge, aspects=("factuality", "readability"))
    items = [Rated.of(PROBLEM, " "), Rated.of(PROBLEM, GOOD)]
    empty, full = scorer.score(items)
    assert len(judge.generator.requests) == 1 and scorer.forecast(items) == "1 requests"
    assert (empty["factuality"], full["factuality"], full["relevance"]) == (0.0, 0.75, None)
    assert Scorer(aspects=("readability",)).forecast(items) is None


def test_no_pairs_are_judged_where_no_formula_needs_them():
    class Unasked:
        nearest = 1

        def verdicts(self, pairs):
            assert not pairs
            return []

        similarities = verdicts

    scorer = Scorer(Unasked(), Unasked(), prompted=prompted(four))
    assert scorer.score(ITEMS[:2])[0]["factuality"] == 0.75


def test_only_the_aspects_named_are_measured():
    quality = scored(GOOD, Scorer(aspects=("coherence",)))
    assert {name for name, score in quality.scores.items() if score is not None} == {"coherence"}
    assert quality["coherence"] == scored(GOOD)["coherence"]
