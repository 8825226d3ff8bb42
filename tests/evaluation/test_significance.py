"""Intervals that cover, tests that know chance, by hand and against the normal approximation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from smallsteps.evaluation.significance import (
    bootstrap,
    mcnemar,
    paired_bootstrap,
    rank_correlation,
    resample_seeds,
    resample_sums,
    widened,
    wilson_interval,
)


def mean(sums: np.ndarray) -> np.ndarray:
    return 100 * sums[..., 0] / sums[..., 1]


def rows(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], axis=-1).astype(float)


def test_resampled_sums_are_sums_of_drawn_rows() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    sums = resample_sums(values, seed=3, resamples=50)
    drawn = np.random.default_rng(3).integers(3, size=(50, 3))
    assert np.array_equal(sums, values[drawn].sum(axis=1))


def test_the_interval_of_accuracy_is_the_normal_approximation_s() -> None:
    values = np.zeros(728)
    values[:158] = 1  # the paper's USM(inter)
    low, high = bootstrap(rows(values), mean)
    half = 1.96 * 100 * np.sqrt(158 / 728 * 570 / 728 / 728)
    assert (high - low) / 2 == pytest.approx(half, rel=0.08)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = bootstrap(rows(generator.random(150) < 0.3), mean, seed=trial, resamples=400)
        covered += low <= 30 <= high
    assert 180 <= covered <= 198


def test_the_same_seed_draws_the_same() -> None:
    values = rows(np.arange(20) % 3 == 0)
    assert bootstrap(values, mean, seed=1) == bootstrap(values, mean, seed=1)
    assert not np.array_equal(resample_sums(values, seed=1), resample_sums(values, seed=2))


def test_drawing_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = rows(np.arange(20) % 3 == 0)
    whole = resample_sums(values, seed=1, resamples=100)
    monkeypatch.setattr("smallsteps.evaluation.significance._CHUNK", 70)
    assert np.array_equal(resample_sums(values, seed=1, resamples=100), whole)


def test_pairing_finds_a_small_difference_that_two_intervals_hide() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(400) < 0.4
    second = first.copy()
    second[np.flatnonzero(~first)[:12]] = True
    low, high, p = paired_bootstrap(rows(first), rows(second), mean)
    assert low > 0 and p < 0.01
    assert low < 3.0 < high
    assert bootstrap(rows(first), mean)[1] > bootstrap(rows(second), mean)[0]


def test_equal_arms_have_no_difference_and_p_one() -> None:
    values = rows(np.arange(30) % 2)
    assert paired_bootstrap(values, values, mean) == (0.0, 0.0, 1.0)


def test_p_is_small_by_chance_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    small = 0
    for trial in range(200):
        first, second = generator.random((2, 120)) < 0.5
        small += (
            paired_bootstrap(rows(first), rows(second), mean, seed=trial, resamples=300)[2] < 0.05
        )
    assert small <= 20


def test_paired_rows_of_different_shapes_are_a_bug() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        paired_bootstrap(np.ones((3, 2)), np.ones((4, 2)), mean)


def test_seeds_that_differ_widen_the_interval_that_copies_leave_as_it_is() -> None:
    generator = np.random.default_rng(0)
    one = (generator.random(300) < 0.5).astype(float)
    better = np.maximum(one, generator.random(300) < 0.4)
    alike = np.stack([rows(one)] * 3)
    apart = np.stack([rows(one), rows(better), rows(np.minimum(one, generator.random(300) < 0.6))])
    low, high = bootstrap(rows(one), mean)
    low_alike, high_alike = bootstrap(alike, mean)
    low_apart, high_apart = bootstrap(apart, mean)
    assert high_alike - low_alike == pytest.approx(
        high - low, rel=0.1
    )  # three copies are no new evidence
    assert high_apart - low_apart > 1.5 * (high - low)


def test_one_seed_is_the_plain_bootstrap() -> None:
    values = rows(np.arange(30) % 4 == 0)
    assert np.array_equal(resample_seeds(values[None], seed=5), resample_sums(values, seed=5))


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == 2 / 32
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(10, 2) == pytest.approx(2 * (1 + 12 + 66) / 4096)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_a_symmetric_probability_at_any_size(first: int, second: int) -> None:
    assert 0 <= mcnemar(first, second) == mcnemar(second, first) <= 1


@pytest.mark.parametrize(("fewer", "more"), [(0, 1), (2, 3), (7, 19), (40, 61), (700, 800)])
def test_mcnemar_is_twice_the_tail_of_a_fair_coin(fewer: int, more: int) -> None:
    n = fewer + more
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(fewer, more) == pytest.approx(min(1.0, 2 * tail), abs=1e-9)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("right", "n"), [(0, 1), (0, 12), (1, 12), (6, 12), (12, 12), (570, 1319)])
def test_wilsons_interval_is_scipys(right: int, n: int, level: float) -> None:
    expected = binomtest(right, n).proportion_ci(confidence_level=level, method="wilson")
    low, high = wilson_interval(right, n, level)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (low == 0.0) == (right == 0) and (high == 1.0) == (right == n)


def test_an_interval_is_widened_near_nought_and_hundred_only() -> None:
    bound = 100 * wilson_interval(0, 12)[1]
    assert widened(0.0, 0.0, 12) == (0.0, bound) and widened(0.0, 16.7, 12) == (0.0, bound)
    assert widened(100.0, 100.0, 12) == (100.0 - bound, 100.0)
    assert widened(25.0, 75.0, 12) == (25.0, 75.0)


def test_rank_correlation_is_spearmans() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


def test_tied_values_share_their_mean_rank() -> None:
    """Ranks 0, 1.5, 1.5, 3 and 2, 0, 2, 2: covariance 0, so no correlation."""
    assert rank_correlation([1, 2, 2, 3], [1, 0, 1, 1]) == pytest.approx(0.0, abs=1e-9)
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5
    expected = 4.5 / math.sqrt(4.5 * 5)
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(expected, abs=1e-9)


def test_what_does_not_vary_correlates_with_nothing() -> None:
    assert rank_correlation([1, 1], [1, 2]) is None
    assert rank_correlation([1, 2], [0, 0]) is None
    assert rank_correlation([], []) is None
