"""How regular a chain is, and accuracy by it.

The regularity of a chain is the share of neighbouring sub-sentences of which one restates (ES) and
the other infers (AS): 1 where the kinds alternate all the way, as the strategy `inter` assumes
(Xi et al. 2024, Appendix B), 0 where all are of one kind. It does not matter which kind comes
first, so that one sub-sentence more at the start does not make an even chain irregular."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from smallsteps.evaluation.shares import Share, rows_of, share
from smallsteps.evaluation.significance import RESAMPLES
from smallsteps.records import Kind

EDGES = (0.0, 0.5, 0.75, 1.0)
"""Where bins begin; the last holds fully regular chains alone."""
LEAST_PIECES = 3
"""Sub-sentences that a chain needs to have a regularity."""


class Bin(NamedTuple):
    """Chains of similar regularity."""

    low: float
    """Least regularity, 0..1."""
    high: float
    """Regularity that belongs to the next bin; 1 in the last two bins."""
    accuracy: Share


def regularity(kinds: Sequence[Kind]) -> float | None:
    """0..1; None where the chain has too few sub-sentences.

    >>> regularity(["ES", "ES", "AS", "ES", "AS"])
    0.75
    """
    if len(kinds) < LEAST_PIECES:
        return None
    changes = sum(first != second for first, second in pairwise(kinds))
    return changes / (len(kinds) - 1)


def accuracy_by_regularity(
    regularities: Sequence[Sequence[float | None]],
    values: Sequence[Sequence[float]],
    resamples: int = RESAMPLES,
) -> list[Bin]:
    """The bins that have chains, least regular first.

    regularities, values: (seeds, problems); values are grades, 0..1."""
    bins = []
    for low, high in zip(EDGES, (*EDGES[1:], 1.0), strict=True):
        chosen = [
            [
                value if regular is not None and bin_of(regular) == low else None
                for regular, value in zip(*by_seed, strict=True)
            ]
            for by_seed in zip(regularities, values, strict=True)
        ]
        accuracy = share(rows_of(chosen), resamples)
        if accuracy is not None:
            bins.append(Bin(low, high, accuracy))
    return bins


def bin_of(regular: float) -> float:
    """Where the bin of this regularity begins."""
    return max(edge for edge in EDGES if edge <= regular)
