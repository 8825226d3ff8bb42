"""The matrix of aspects and perturbations: an accepted measure notices what belongs to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.sensitivity import auc, beside_the_point, matrix, matrix_table, wins

from .conftest import ITEMS, SCORER


def test_the_table_in_the_docs_is_this_matrix(measured, fluency):
    page = (Path(__file__).parents[2] / "docs/guided.md").read_text(encoding="utf-8")
    table = matrix_table({**measured, "fluency": fluency})
    assert table in page, table


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
    assert not {cell for cell in marked if cell[1] in ASPECTS[cell[0]].lowered_by}


def test_a_table_marks_what_belongs_and_what_does_not():
    table = matrix_table({"logicality": {"drop": 0.91, "swap": 0.61, "negate": 0.6, "bloat": None}})
    assert table.splitlines()[0] == "| aspect | drop | swap | negate | bloat |"
    assert table.splitlines()[-1] == "| logicality | **0.91** | 0.61 † | 0.60 | – |"


@pytest.mark.parametrize(
    ("aspect", "name"),
    [(a.name, p) for a in ASPECTS.values() if a.name != "fluency" for p in a.lowered_by],
)
def test_an_aspect_tells_rationales_from_those_that_lack_it(measured, aspect, name):
    assert measured[aspect][name] >= 0.8


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


def test_an_aspect_that_was_not_measured_has_no_figure():
    auc_of = matrix(ITEMS[:4], SCORER, names=["drop"])
    assert auc_of["fluency"] == {"drop": None} and auc_of["coherence"]["drop"] is not None


def test_ties_count_half():
    assert auc([1, 1], [0, 1]) == 0.75
    assert wins([1, 1], [0, 1]) == 0.75 and wins([1, 0], [0, 1]) == 0.5
