"""Rows of results.json hold what their score or comparison holds, and their docs name every
field."""

from __future__ import annotations

import pytest

from kept_runs import PROBLEMS, score_of
from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.score_results import (
    ComparisonResult,
    FurtherComparison,
    FurtherResult,
    JoinedFurtherResult,
    PointComparison,
    PooledResult,
    score_fields,
)

FIRST, SECOND = (score_of(right, 0, PROBLEMS) for right in ([0, 1, 2], [2, 3]))


def test_the_fields_of_a_score_are_its_row_without_the_seed() -> None:
    """The trap: `seed` is a list of pooled scores, and the rows have fields of their own for it."""
    fields = score_fields(FIRST)
    assert "seed" not in fields and fields["value"] == pytest.approx(50.0)
    assert (fields["n"], fields["low"], fields["high"]) == (6, FIRST.low, FIRST.high)


def test_a_pooled_row_counts_the_problems_once_and_names_its_seeds() -> None:
    pooled = pool_scores([FIRST, score_of([0], 1, PROBLEMS)])
    row = PooledResult.of("direct", pooled)
    assert (row.name, row.seeds, row.n) == ("direct", [0, 1], 6)
    assert row.figure == Figure(value=pooled.value, low=pooled.low, high=pooled.high)


def test_a_comparison_keeps_which_arm_is_which() -> None:
    comparison = compare_scores(FIRST, SECOND, resamples=100)
    row = ComparisonResult.of("uni", "direct", 0, comparison)
    assert (row.arm, row.against, row.seed) == ("uni", "direct", 0)
    assert row.difference == pytest.approx(100 / 6)
    assert (row.only_arm_right, row.only_against_right) == (2, 1)
    at = PointComparison.at("plateau", "uni", "direct", comparison)
    assert at.point == "plateau" and at.seed is None and at.p_mcnemar == row.p_mcnemar


def test_a_further_row_of_an_older_version_is_named_after_its_task() -> None:
    """Until 2026-11 sets had no name; each was the only one of its task."""
    old = PooledResult.of("direct", FIRST).model_dump() | {"task": "svamp"}
    row = FurtherResult.model_validate(old)
    assert (row.test_set, row.value) == ("svamp", pytest.approx(50.0))
    again = FurtherResult.model_validate(row.model_dump() | {"test_set": "svamp/hard"})
    assert again.test_set == "svamp/hard"


def test_rows_of_all_further_sets_have_no_name() -> None:
    test = ComparisonResult.of("uni", "direct", 0, compare_scores(FIRST, SECOND, resamples=100))
    assert FurtherComparison.on(None, test).test_set is None
    row = FurtherComparison.on("svamp", test)
    assert ComparisonResult.model_validate(row.model_dump(exclude={"test_set"})) == test
    joined = JoinedFurtherResult.of("direct", FIRST)
    assert (joined.name, joined.n, joined.seeds, joined.metric) == ("direct", 6, [0], "accuracy")
