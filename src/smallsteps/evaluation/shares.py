"""A mean or a share with its interval, from rows that may leave questions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from smallsteps.evaluation.metrics import mean
from smallsteps.evaluation.significance import (
    RESAMPLES,
    Rows,
    bootstrap,
    percentile_interval,
    resample_seeds,
    widened,
    wilson_interval,
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

    Its interval is that of `share_interval`."""
    rows = rows[:, rows[..., 1].any(axis=0)]
    total, counted = rows.sum(axis=(0, 1))
    if not counted:
        return None
    value = float(100 * total / counted)
    low, high = share_interval(rows, resamples)
    return Share(value, low, high, int(counted))


def share_interval(rows: Rows, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % interval (0..100) of the share of `rows` (seeds, questions, [value, counted]): the
    one rule for figures that are means over questions.

    Verdicts of one seed, right or wrong, are independent: Wilson's interval. Values between, and
    several seeds: bootstrap over questions and seeds, `widened` near 0 and 100."""
    values, counted = rows[..., 0], rows[..., 1]
    if len(rows) == 1 and np.isin(values, (0.0, 1.0)).all():
        low, high = wilson_interval(float(values.sum()), int(counted.sum()))
        return 100 * low, 100 * high
    low, high = bootstrap(rows, mean, resamples=resamples)
    return widened(low, high, int(counted.any(axis=0).sum()))


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
