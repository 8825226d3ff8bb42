"""Shares with intervals, over questions that may be left out."""

from __future__ import annotations

import numpy as np
import pytest

from smallsteps.evaluation.shares import rows_of, share, share_difference
from smallsteps.evaluation.significance import all_alike_bound


def test_a_share_counts_only_what_is_not_left_out() -> None:
    found = share(rows_of([[1.0, 0.0, None, 1.0], [1.0, None, None, 1.0]]))
    assert found is not None and found.n == 5 and found.value == pytest.approx(80.0)
    assert found.low < 80.0 < found.high <= 100.0
    assert share(rows_of([[None, None]])) is None


def test_few_questions_among_many_left_out_have_the_interval_that_they_have_alone() -> None:
    """The trap: a resample of all questions often holds none of them, and counts as zero."""
    few: list[float | None] = [1.0, 0.0, 1.0, 1.0]
    assert share(rows_of([few])) == share(rows_of([[*few, *([None] * 400)]]))


def test_verdicts_that_are_all_alike_get_the_exact_interval() -> None:
    found = share(rows_of([[1.0] * 10]))
    assert found == (100.0, 100 - 100 * all_alike_bound(10), 100.0, 10)
    found = share(rows_of([[0.0] * 10, [0.0] * 10]))
    assert found == (0.0, 0.0, 100 * all_alike_bound(10), 20), "seeds share their questions"


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
