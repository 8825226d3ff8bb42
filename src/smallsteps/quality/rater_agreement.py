"""How far raters agree with each other, and each judge with each rater, aspect by aspect.

Weighted kappa (Cohen 1968) with quadratic weights on the scale from 1 to 5. Scores of judges are
taken as the nearest rating. A judge on another scale, such as the lexical one, can order rationales
as people do and have a low kappa; so the rank correlation stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, product
from typing import Any, Literal

import numpy as np

from smallsteps.evaluation.kappa import kappa, quadratic_weights
from smallsteps.evaluation.significance import (
    RESAMPLES,
    percentile_interval,
    rank_correlation,
    resample_sums,
)
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.prompted_judge import LEAST, MOST
from smallsteps.quality.sheets import RatingsByAspect


@dataclass(frozen=True)
class RaterAgreement:
    """Agreement of two raters, or of a rater and a judge, on one aspect."""

    aspect: str
    first: str
    """A rater."""
    second: str
    """Another rater, or a judge."""
    second_is: Literal["rater", "judge"]
    kappa: float
    """Quadratically weighted, -1..1; 0: no better than chance. 0 too where both gave one rating
    alone."""
    low: float
    high: float
    """95 % bootstrap interval over rationales."""
    rank_correlation: float | None
    """Spearman's, -1..1; None where one of the two gave one rating alone."""
    n: int
    """Rationales that both rated."""

    def to_row(self) -> dict[str, Any]:
        """The agreement as a JSON object."""
        return asdict(self)


def agreements(
    raters: Mapping[str, RatingsByAspect],
    judges: Mapping[str, RatingsByAspect],
    resamples: int = RESAMPLES,
) -> Iterator[RaterAgreement]:
    """The agreement of all pairs of raters, then of each rater with each judge, aspect by aspect.
    A pair that rated no rationale both is left out."""
    pairs: list[tuple[str, str, Literal["rater", "judge"]]] = []
    pairs += [(first, second, "rater") for first, second in combinations(raters, 2)]
    pairs += [(rater, judge, "judge") for rater, judge in product(raters, judges)]
    for aspect in ASPECTS:
        for first, second, kind in pairs:
            others = judges if kind == "judge" else raters
            ratings = raters[first].get(aspect, {})
            second_ratings = others[second].get(aspect, {})
            both = [
                (rating, second_ratings[id])
                for id, rating in ratings.items()
                if id in second_ratings
            ]
            if both:
                values = _agreement(np.array(both), resamples)
                yield RaterAgreement(aspect, first, second, kind, *values, n=len(both))


def _agreement(both: np.ndarray, resamples: int) -> tuple[float, float, float, float | None]:
    """(kappa, low, high, rank correlation) of pairs of ratings (n, 2)."""
    size = MOST - LEAST + 1
    counts = np.zeros((len(both), size, size))
    first, second = (both - LEAST).T
    counts[np.arange(len(both)), first, second] = 1
    weights = quadratic_weights(size)
    sums = resample_sums(counts.reshape(len(both), -1), seed=0, resamples=resamples)
    low, high = percentile_interval(kappa(sums.reshape(-1, size, size), weights))
    value = float(kappa(counts.sum(axis=0), weights))
    return value, low, high, rank_correlation(first.tolist(), second.tolist())
