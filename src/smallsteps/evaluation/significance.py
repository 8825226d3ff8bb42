"""Bootstrap intervals, paired tests and rank correlation: how sure a figure is, and whether two
figures differ.

Right-or-wrong answers of one seed are independent, so their share has Wilson's interval. All else
(other metrics, several seeds, differences of two arms) has a bootstrap interval.

The bootstrap works on rows of *sufficient statistics*, one row per question. A metric turns the sum
of the rows into its value (`metrics.py`). A resample is then a product of two matrices, and all
metrics share the same few functions. Sources: Efron & Tibshirani 1993 (percentile bootstrap); Koehn
2004 (paired bootstrap for BLEU); Owen 2007, "The pigeonhole bootstrap" (questions x seeds); Wilson
1927 (interval of a share). Tests come from scipy, which is imported where it is used: loading it
takes most of a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Aggregate = Callable[[Rows], NDArray[np.float64]]
"""Summed statistics (..., columns) -> values (...)."""

RESAMPLES = 2000
"""Resamples of a bootstrap; the ends of a 95 % interval then rest on 50 values each."""

_CHUNK = 2_000_000
"""Numbers drawn at a time; a bound on memory."""


def percentile_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """The middle `level` share of resampled values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resample_sums(rows: Rows, *, seed: int, resamples: int = RESAMPLES) -> Rows:
    """Sums of `rows` (n, columns) over questions drawn with replacement: (resamples, columns).

    The draws depend on `seed`, n and `resamples` alone, so that two sets of rows for the same
    questions are resampled alike."""
    generator = np.random.default_rng(seed)
    n = len(rows)
    step = max(1, _CHUNK // max(n, 1))
    sums = []
    for start in range(0, resamples, step):
        drawn = generator.integers(n, size=(min(step, resamples - start), n))
        sums.append(_counts(drawn, n) @ rows)
    return np.concatenate(sums)


def resample_seeds(rows: Rows, *, seed: int, resamples: int = RESAMPLES) -> Rows:
    """Sums of `rows` (seeds, n, columns) over training seeds and questions: (resamples, columns).

    Questions and seeds are crossed - every seed answers the same questions - so each resample draws
    questions and, on its own, seeds, and sums the cells (pigeonhole bootstrap). That counts both
    sources of chance and errs to the wide side in their interaction; with three seeds the part due
    to seeds is itself known badly. With one seed it is `resample_sums`."""
    seeds, n, _ = rows.shape
    if seeds == 1:
        return resample_sums(rows[0], seed=seed, resamples=resamples)
    generator = np.random.default_rng(seed)
    seed_counts = _counts(generator.integers(seeds, size=(resamples, seeds)), seeds)
    step = max(1, _CHUNK // max(n, 1))
    sums = []
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        questions = _counts(generator.integers(n, size=(stop - start, n)), n)
        by_seed = np.einsum("rn,snc->rsc", questions, rows, optimize=True)
        sums.append(np.einsum("rs,rsc->rc", seed_counts[start:stop], by_seed))
    return np.concatenate(sums)


def bootstrap(
    rows: Rows,
    aggregate: Aggregate,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a metric over questions, or over seeds x questions where `rows` has
    three axes."""
    rows = rows[None] if rows.ndim == 2 else rows
    return percentile_interval(
        aggregate(resample_seeds(rows, seed=seed, resamples=resamples)), level
    )


def paired_bootstrap(
    first: Rows,
    second: Rows,
    aggregate: Aggregate,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(low, high, p) of the difference second - first, both resampled over the same questions (and
    seeds).

    p is two-sided: the share of resampled differences that lie at least as far from the observed
    one as that lies from zero, with one added above and below so that it is never 0. Shapes as in
    `bootstrap`, equal for both."""
    if first.shape != second.shape:
        raise ValueError(f"paired rows have different shapes, {first.shape} and {second.shape}")
    both = np.concatenate([first, second], axis=-1)
    both = both[None] if both.ndim == 2 else both
    columns = first.shape[-1]
    sums = resample_seeds(both, seed=seed, resamples=resamples)
    observed_sum = both.sum(axis=(0, 1))
    observed = float(aggregate(observed_sum[columns:]) - aggregate(observed_sum[:columns]))
    differences = aggregate(sums[:, columns:]) - aggregate(sums[:, :columns])
    low, high = percentile_interval(differences, level)
    extreme = np.count_nonzero(np.abs(differences - observed) >= abs(observed) - 1e-12)
    return low, high, (1 + int(extreme)) / (1 + resamples)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test (1947), from the numbers of questions that only one of
    two arms got right: is their split compatible with a fair coin?

    >>> mcnemar(1, 6)
    0.125
    """
    from scipy.stats import binomtest

    if only_first + only_second == 0:
        return 1.0  # no question tells the two apart; scipy refuses an empty sample
    return float(binomtest(min(only_first, only_second), only_first + only_second).pvalue)


def wilson_interval(right: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval (0..1) of the share `right` of `n` independent verdicts (Wilson 1927). Where all
    verdicts are alike, it has a width too.

    >>> [round(end, 3) for end in wilson_interval(0, 12)]
    [0.0, 0.242]
    """
    share, z = right / n, NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # exact ends, whatever the rounding
    return 0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half


def widened(low: float, high: float, n: int) -> tuple[float, float]:
    """A bootstrap interval of a share (0..100) of `n` questions that reaches at least as far as
    Wilson's for none right, or all.

    Verdicts that are (nearly) all alike resample to (nearly) themselves, so that a bootstrap
    interval near 0 or 100 is too narrow, or has no width at all. Elsewhere nothing changes."""
    bound = 100 * wilson_interval(0, n)[1]
    return min(low, 100.0 - bound), max(high, bound)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, -1..1; tied values share their mean rank. None where one of the
    two sequences does not vary."""
    from scipy.stats import spearmanr

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)


def _counts(drawn: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """How often each of n was drawn, row by row: (resamples, draws) -> (resamples, n)."""
    rows = len(drawn)
    flat = (drawn + n * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * n).reshape(rows, n).astype(np.float64)
