"""Each aspect by example, and the matrix: a measure is accepted if it notices what belongs to
it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.quality.aspects import ASPECTS, Rated, References, Scorer, readability, within_reach
from smallsteps.quality.perturb import (
    OWN,
    PERTURBATIONS,
    auc,
    beside_the_point,
    matrix,
    matrix_table,
)
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains

CHAINS = make_chains(120, 5)
ITEMS = [Rated.of(chain.problem, chain.rationale.text) for chain in CHAINS]
REFERENCES = References.of([item.text for item in ITEMS])
SCORER = Scorer(references=REFERENCES)
CONTEXT = (("Ann", ("Ann lives in Rome.",)), ("Rome", ("It is a town in Italy. The sky is blue.",)))
PROBLEM = Problem("p", "In which country does Ann live?", "Italy", context=CONTEXT)


def scored(text, scorer=SCORER):
    return scorer.score([Rated.of(PROBLEM, text)])[0]


GOOD = "Ann lives in Rome. Rome is a town in Italy. So Ann lives in Italy. The answer is Italy."


@pytest.fixture(scope="module")
def measured():
    return matrix(ITEMS, SCORER)


@pytest.fixture(scope="module")
def fluency():
    """Under the student that ships with the package."""
    student, task = load_student("bundled", device="cpu"), get_task("facts")
    items = [Rated.of(chain.problem, chain.rationale.text, task) for chain in CHAINS]
    references = References.of(
        [item.text for item in items], Scorer(student=student, task=task).likelihoods(items)
    )
    return matrix(items, Scorer(references=references, student=student, task=task))["fluency"]


def test_the_table_in_the_docs_is_this_matrix(measured, fluency):
    page = (Path(__file__).parents[2] / "docs/guided.md").read_text(encoding="utf-8")
    own = matrix_table({**measured, "fluency": fluency})
    assert own in page, own


def test_what_an_aspect_notices_beside_the_point_is_marked_and_no_worse_than_it_was(measured):
    """The other half of the rule, near 0.5 on what does not belong to an aspect, is not reached;
    this holds what is."""
    marked = beside_the_point(measured)
    reached = {
        ("factuality", "insert"): 0.95,
        ("factuality", "other"): 0.99,
        ("factuality", "bloat"): 1.0,
        ("factuality", "garble"): 0.71,
        ("relevance", "swap"): 0.93,
        ("relevance", "drop"): 0.75,
        ("logicality", "negate"): 1.0,
        ("logicality", "shuffle"): 0.33,
        ("consistency", "swap"): 0.61,
        ("consistency", "bloat"): 0.29,
        ("coherence", "negate"): 0.26,
        ("coherence", "insert"): 0.99,
    }
    for cell, value in reached.items():
        assert marked[cell] == pytest.approx(value, abs=0.01), cell
    counts = {aspect: sum(cell[0] == aspect for cell in marked) for aspect in ASPECTS}
    assert counts == {
        "factuality": 4,
        "relevance": 4,
        "logicality": 4,
        "consistency": 2,
        "coherence": 7,
        "fluency": 0,
        "naturalness": 5,
        "readability": 0,
    }
    assert not {cell for cell in marked if cell[1] in OWN[cell[0]]}


def test_a_table_marks_what_belongs_and_what_does_not():
    table = matrix_table({"logicality": {"drop": 0.91, "swap": 0.61, "negate": 0.6, "bloat": None}})
    assert table.splitlines()[0] == "| aspect | drop | swap | negate | bloat |"
    assert table.splitlines()[-1] == "| logicality | **0.91** | 0.61 † | 0.60 | – |"


@pytest.mark.parametrize(
    ("aspect", "own"), [(a, p) for a, names in OWN.items() if a != "fluency" for p in names]
)
def test_an_aspect_tells_rationales_from_those_that_lack_it(measured, aspect, own):
    assert measured[aspect][own] >= 0.8


def test_what_has_nothing_to_do_with_an_aspect_changes_it_little(measured):
    for aspect, unrelated in {
        "factuality": ("repeat", "shuffle"),
        "relevance": ("negate", "shuffle"),
        "consistency": ("shuffle", "repeat", "drop"),
        "readability": ("swap", "repeat", "shuffle"),
        "naturalness": ("swap", "shuffle"),
        "logicality": ("repeat",),
    }.items():
        for name in unrelated:
            assert 0.4 <= measured[aspect][name] <= 0.6, (aspect, name)


def test_fluency_tells_words_in_order_from_garbled_ones(fluency):
    assert fluency["garble"] >= 0.8


def test_references_that_are_nearly_alike_break_no_fluency():
    """Their spread is next to nothing, and e to the power of what is divided by it no float."""
    student, task = load_student("bundled", device="cpu"), get_task("facts")
    references = References(1, 9, mean=-0.1, spread=1e-9)
    items = [
        Rated.of(chain.problem, text, task)
        for chain, text in ((CHAINS[0], CHAINS[0].rationale.text), (CHAINS[1], "x y z"))
    ]
    fluencies = [
        one.fluency
        for one in Scorer(references=references, student=student, task=task).score(items)
    ]
    assert all(0 <= value <= 1 for value in fluencies) and fluencies[1] < 1e-9


def test_all_is_well_with_a_gold_chain():
    best = scored(GOOD)
    assert (
        best.factuality == best.logicality == 1 and best.consistency > 0.7 and best.coherence > 0.9
    )
    assert best.relevance > 0.9 and best.readability > 0.7 and best.fluency is None
    assert all(0 <= getattr(best, name) <= 1 for name in ASPECTS if getattr(best, name) is not None)


def test_a_pronoun_is_read_with_the_title_of_its_paragraph():
    rated = Rated.of(PROBLEM, GOOD)
    assert rated.context == (
        "Ann lives in Rome.",
        "Rome: It is a town in Italy.",
        "Rome: The sky is blue.",
    )
    assert rated.steps == [
        "Ann lives in Rome.",
        "Rome is a town in Italy.",
        "So Ann lives in Italy.",
    ]
    assert within_reach(rated)[1:] == list(rated.context), (
        "the question names Ann, Ann's sentence names Rome"
    )


def test_nothing_written_is_worth_nothing():
    empty = scored("  ")
    assert {getattr(empty, name) for name in ASPECTS} == {0.0, None} and empty.fluency is None
    assert Scorer().score([Rated.of(PROBLEM, "")])[0].naturalness is None


def test_without_references_there_is_no_naturalness_and_traces_of_a_prompt_spoil_it():
    assert scored(GOOD, Scorer()).naturalness is None
    assert scored(GOOD).naturalness == 1
    assert scored("Question: where? " + GOOD).naturalness == 0
    assert scored(GOOD.lower()).naturalness == 0
    assert 0 < scored(GOOD * 3).naturalness < 0.7
    assert 0 < scored("Italy.").naturalness < 0.2


AGAINST_CONTEXT = ("factuality", "relevance", "logicality", "consistency")


@pytest.mark.parametrize("text", [GOOD, "", "Italy."])
def test_without_a_context_what_compares_with_it_is_null(text):
    bare = Rated.of(Problem("p", "Where does Ann live?", "x"), text)
    alone, beside = SCORER.score([bare])[0], SCORER.score([ITEMS[0], bare, ITEMS[1]])[1]
    assert alone == beside and all(getattr(alone, name) is None for name in AGAINST_CONTEXT)
    assert all(
        0 <= getattr(alone, name) <= 1 for name in ("coherence", "readability", "naturalness")
    )


def test_a_task_of_contexts_needs_them():
    with pytest.raises(DataError, match="no context"):
        Rated.of(Problem("p", "Where?", "x"), GOOD, get_task("hotpotqa"))
    with pytest.raises(DataError, match="no reference rationales"):
        References.of([])


def test_readability_falls_with_long_sentences_and_words():
    assert readability("The cat sat. The dog ran.") > readability(
        "The director of the cinema considered the proposal."
    )
    assert readability("...") == 0


def test_scores_do_not_depend_on_what_is_scored_beside():
    together = SCORER.score(ITEMS[:20])
    assert together == [SCORER.score([item])[0] for item in ITEMS[:20]]


def test_every_perturbation_belongs_to_an_aspect_and_changes_the_text():
    assert {name for names in OWN.values() for name in names} == set(PERTURBATIONS)
    assert set(OWN) == set(ASPECTS)
    assert auc([1, 1], [0, 1]) == 0.75


def test_scores_do_not_depend_on_the_blocks_in_which_they_are_reported(monkeypatch):
    items = [*ITEMS[:7], Rated.of(PROBLEM, ""), *ITEMS[7:10]]
    whole = SCORER.score(items)
    told: list[int] = []
    monkeypatch.setattr("smallsteps.quality.aspects.BLOCK", 4)
    assert SCORER.score(items, told.append) == whole
    assert told == [4, 8, 11]
