"""One record an arm over its seeds: figures pooled, costs as means."""

from __future__ import annotations

from smallsteps.report.summaries import baseline, excludes_zero, main_comparisons, summaries

from .conftest import arm_result, comparison, pooled_result, results, results_of


def test_several_seeds_have_their_pooled_figure_and_the_mean_of_their_costs() -> None:
    found = results_of(
        arm_result("direct", 50.0, train_tokens=100, seconds_per_answer=0.2),
        arm_result("direct", 52.0, train_tokens=300, seconds_per_answer=0.4, seed=1),
        pooled=[pooled_result("direct", 51.0, low=48.0, high=54.0, unparsed=22)],
    )
    (arm,) = summaries(found)
    assert (arm.value, arm.low, arm.high, arm.unparsed) == (51.0, 48.0, 54.0, 22)
    assert (arm.train_tokens, round(arm.seconds_per_answer, 6)) == (200, 0.3)
    assert [single.seed for single in arm.seeds] == [0, 1]


def test_a_cost_that_no_seed_has_is_none_and_not_zero() -> None:
    (arm,) = summaries(results_of(arm_result("standard", 50.0, train_tokens=None)))
    assert arm.train_tokens is None and arm.teacher_tokens is None


def test_the_baseline_is_the_arm_that_most_arms_are_compared_with() -> None:
    assert baseline(results()) == "direct"
    tests = [
        comparison("a", "standard", 1.0, 0.0, 2.0),
        comparison("b", "standard", 1.0, 0.0, 2.0),
        comparison("b", "a", 1.0, 0.0, 2.0),
    ]
    assert baseline(results(comparisons=tests)) == "standard"
    assert baseline(results_of(arm_result("a", 1.0), arm_result("b", 2.0))) is None


def test_tests_over_all_seeds_come_before_those_of_single_seeds() -> None:
    pooled = comparison("a", "b", 1.0, 0.0, 2.0, seed=None)
    single = comparison("a", "b", 1.0, 0.0, 2.0)
    assert main_comparisons(results(comparisons=[single])) == [single]
    found = results(comparisons=[single], pooled_comparisons=[pooled])
    assert main_comparisons(found) == [pooled]


def test_an_interval_that_ends_at_zero_includes_it() -> None:
    assert not excludes_zero(comparison("a", "b", 1.0, 0.0, 2.0))
    assert excludes_zero(comparison("a", "b", 1.0, 0.1, 2.0))
    assert excludes_zero(comparison("a", "b", -1.0, -2.0, -0.1))
