"""A mean or a share with its interval, from rows that may leave questions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from smallsteps.evaluation.metrics import mean
from smallsteps.evaluation.significance import (
    RESAMPLES,
    Rows,
    all_alike_bound,
    bootstrap,
    percentile_interval,
    resample_seeds,
)


class Share(NamedTuple):
    """A share, 0 to 100, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """What it is a share of, over all seeds."""


def rows_of(verdicts: Sequence[Sequence[float | None]]) -> Rows:
    """(seeds, questions) values 0..1 → rows (value, 1), or (0, 0) where a question is left out."""
    return np.array(
        [[(0.0, 0.0) if v is None else (float(v), 1.0) for v in by_seed] for by_seed in verdicts]
    )


def share(rows: Rows, resamples: int = RESAMPLES) -> Share | None:
    """The share of `rows` (seeds, questions, [value, counted]); None where none is counted.

    Intervals are bootstrap intervals over questions and seeds; where all verdicts are alike, which
    a bootstrap cannot resample, the exact interval over the questions."""
    rows = rows[:, rows[..., 1].any(axis=0)]
    total, counted = rows.sum(axis=(0, 1))
    if not counted:
        return None
    value = float(100 * total / counted)
    low, high = bootstrap(rows, mean, resamples=resamples)
    if total in (0, counted):
        bound = 100 * all_alike_bound(rows.shape[1])
        low, high = (0.0, bound) if not total else (100.0 - bound, 100.0)
    return Share(value, low, high, int(counted))


def share_difference(first: Rows, second: Rows, resamples: int = RESAMPLES) -> Share | None:
    """First minus second share, in points, paired over questions and seeds. None where none is
    counted. Both count the same questions."""
    both = np.concatenate([first, second], axis=-1)
    both = both[:, first[..., 1].any(axis=0)]
    counted = both[..., 1].sum()
    if not counted:
        return None
    sums = resample_seeds(both, seed=0, resamples=resamples)
    low, high = percentile_interval(mean(sums[:, :2]) - mean(sums[:, 2:]))
    observed = both.sum(axis=(0, 1))
    value = float(mean(observed[:2]) - mean(observed[2:]))
    return Share(value, low, high, int(counted))
