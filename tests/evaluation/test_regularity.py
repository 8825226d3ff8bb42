"""How regular chains are, and the bins of accuracy."""

from __future__ import annotations

import pytest

from smallsteps.evaluation.regularity import (
    LEAST_PIECES,
    accuracy_by_regularity,
    bin_of,
    regularity,
)
from smallsteps.records import Kind

ES: Kind = "ES"
AS: Kind = "AS"


@pytest.mark.parametrize(
    ("kinds", "share"),
    [
        ([ES, AS, ES, AS], 1.0),
        ([AS, ES, AS], 1.0),
        ([ES, ES, AS, ES, AS], 0.75),
        ([ES, ES, ES], 0.0),
        ([ES, AS, AS], 0.5),
        ([ES, AS], None),
        ([], None),
    ],
)
def test_regularity_is_the_share_of_neighbours_of_different_kinds(
    kinds: list[Kind], share: float | None
) -> None:
    assert regularity(kinds) == share
    assert LEAST_PIECES == 3


def test_fully_regular_chains_have_a_bin_of_their_own() -> None:
    assert [bin_of(value) for value in (0.0, 0.49, 0.5, 0.75, 0.99, 1.0)] == [
        0.0,
        0.0,
        0.5,
        0.75,
        0.75,
        1.0,
    ]


def test_accuracy_by_hand() -> None:
    regularities = [[1.0, 1.0, 0.8, 0.2, None], [1.0, 0.6, 0.8, 0.2, None]]
    values = [[1.0, 0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0, 1.0]]
    bins = accuracy_by_regularity(regularities, values)
    assert [(b.low, b.high, b.accuracy.n) for b in bins] == [
        (0.0, 0.5, 2),
        (0.5, 0.75, 1),
        (0.75, 1.0, 2),
        (1.0, 1.0, 3),
    ]
    assert [round(b.accuracy.value) for b in bins] == [0, 100, 50, 67]
    assert accuracy_by_regularity([[None]], [[1.0]]) == []
