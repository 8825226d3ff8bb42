"""Shares with intervals, over questions that may be left out."""

from __future__ import annotations

import numpy as np
import pytest

from smallsteps.evaluation.metrics import mean
from smallsteps.evaluation.shares import rows_of, share, share_difference, share_interval
from smallsteps.evaluation.significance import bootstrap, wilson_interval


def test_a_share_counts_only_what_is_not_left_out() -> None:
    found = share(rows_of([[1.0, 0.0, None, 1.0], [1.0, None, None, 1.0]]))
    assert found is not None and found.n == 5 and found.value == pytest.approx(80.0)
    assert found.low < 80.0 < found.high <= 100.0
    assert share(rows_of([[None, None]])) is None


def test_few_questions_among_many_left_out_have_the_interval_that_they_have_alone() -> None:
    """The trap: a resample of all questions often holds none of them, and counts as zero."""
    few: list[float | None] = [1.0, 0.0, 1.0, 1.0]
    assert share(rows_of([few])) == share(rows_of([[*few, *([None] * 400)]]))


def test_right_or_wrong_verdicts_of_one_seed_have_wilsons_interval_also_where_all_are_alike() -> (
    None
):
    for right in (0, 1, 6, 12):
        found = share(rows_of([[1.0] * right + [0.0] * (12 - right)]))
        low, high = wilson_interval(right, 12)
        assert found == (pytest.approx(100 * right / 12), 100 * low, 100 * high, 12)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_one_right_answer_more_never_lowers_an_end_of_the_interval(seeds: int) -> None:
    """The trap: a bootstrap of 1 of 12 ends lower than the exact interval of 0 of 12."""
    ends = []
    for right in range(13):
        first = [1.0] * right + [0.0] * (12 - right)
        ends.append(share_interval(rows_of([first] * seeds)))
    assert ends == sorted(ends) and [high for _, high in ends] == sorted(high for _, high in ends)
    assert ends[0][0] == 0.0 and ends[0][1] == pytest.approx(100 * wilson_interval(0, 12)[1])
    assert ends[12][1] == 100.0 and all(low < high for low, high in ends)


def test_seeds_that_are_all_wrong_are_no_more_questions() -> None:
    """The trap: three seeds share their questions, so 0 of 3 x 10 says little more than 0 of 10."""
    found = share(rows_of([[0.0] * 10] * 3))
    assert found == (0.0, 0.0, pytest.approx(100 * wilson_interval(0, 10)[1]), 30)


def test_several_seeds_and_values_between_have_the_bootstrap_interval() -> None:
    generator = np.random.default_rng(1)
    seeds = rows_of(generator.integers(0, 2, (3, 80)).astype(float).tolist())
    between = rows_of(generator.random((1, 80)).tolist())
    for rows in (seeds, between):
        assert share_interval(rows) == bootstrap(rows, mean)


def test_a_difference_is_paired() -> None:
    """Two sets of verdicts that are alike have the difference zero, without doubt."""
    verdicts = rows_of([np.random.default_rng(0).integers(0, 2, 100).astype(float).tolist()])
    assert share_difference(verdicts, verdicts) == (0.0, 0.0, 0.0, 100)
    better = verdicts.copy()
    better[0, :20, 0] = 1.0
    found = share_difference(better, verdicts)
    assert found is not None
    gained = 20 - verdicts[0, :20, 0].sum()
    assert found.value == pytest.approx(gained) and 0 < found.low < gained < found.high
    nothing = rows_of([[None]])
    assert share_difference(nothing, nothing) is None
