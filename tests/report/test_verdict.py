"""The verdict says what the paired interval says, whichever way round the test was made."""

from __future__ import annotations

from typing import Any

from smallsteps.experiment.results import Results
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.report.verdict import verdict

from .conftest import arm_result, comparison, pooled_result, results_of


def two(
    direct: float,
    uni: float,
    interval: tuple[float, float] | None = None,
    metric: str = "accuracy",
    **more: Any,
) -> Results:
    """Two arms; with `interval`, uni was tested against direct."""
    arms = [arm_result("direct", direct, metric=metric), arm_result("uni", uni, metric=metric)]
    tests = [comparison("uni", "direct", uni - direct, *interval)] if interval else []
    return results_of(*arms, comparisons=tests, **more)


ONE_SEED = " It is one seed; another may move an arm further than this interval says."


def best(name: str) -> BestStudent:
    return BestStudent(name=name, seed=0, folder="f", validation=50.0)


def test_an_interval_that_includes_zero_is_never_called_a_clear_lead() -> None:
    found = verdict(two(50.0, 54.0, (-0.1, 8.1)))
    assert found.clear is False
    assert found.text == (
        "uni leads with 54.0 %, 4.0 points above direct, but the 95 % interval −0.1 to +8.1 "
        f"includes zero: these answers do not tell the two apart.{ONE_SEED}"
    )


def test_where_the_baseline_leads_the_difference_is_turned() -> None:
    found = verdict(two(60.0, 50.0, (-14.0, -6.0)))
    assert found.clear is True
    assert found.text == (
        "direct leads with 60.0 %, 10.0 points above uni. "
        f"The 95 % interval +6.0 to +14.0 excludes zero.{ONE_SEED}"
    )


def test_lower_is_better_for_the_missing_ratio() -> None:
    found = verdict(two(39.3, 24.8, (-20.0, -9.0), "missing_ratio"))
    assert found.text.startswith("uni leads with 24.8 missing ratio, 14.5 points below direct.")


def test_without_a_paired_test_nothing_is_concluded() -> None:
    found = verdict(two(60.0, 50.0))
    assert found.clear is None
    assert found.text == "direct leads with 60.0 %; no paired test against uni was made."


def test_several_seeds_are_judged_by_their_pooled_test() -> None:
    arms = [arm_result(name, 50.0, seed=seed) for name in ("direct", "uni") for seed in (0, 1)]
    found = results_of(
        *arms,
        comparisons=[comparison("uni", "direct", 4.0, 1.0, 7.0, seed=seed) for seed in (0, 1)],
        pooled=[pooled_result("direct", 50.0), pooled_result("uni", 54.0)],
        pooled_comparisons=[comparison("uni", "direct", 4.0, -1.0, 9.0, seed=None)],
    )
    assert verdict(found).clear is False
    assert "95 % interval −1.0 to +9.0 includes zero" in verdict(found).text


def test_equal_values_are_level_and_the_first_arm_is_named_first() -> None:
    for found in (two(50.0, 50.0), two(50.0, 50.0, (-1.0, 1.0))):
        assert verdict(found).text == "direct and uni are level at 50.0 % on 500 answers."
        assert verdict(found).clear is False


def test_three_level_arms_are_all_named_level() -> None:
    arms = [arm_result(name, 0.0) for name in ("direct", "uni", "tailored-full")]
    assert verdict(results_of(*arms)).text == "All 3 arms are level at 0.0 % on 500 answers."


def test_one_arm_is_reported_with_its_own_interval_and_all_its_seeds() -> None:
    found = results_of(
        *(arm_result("direct", 50.0, seed=seed) for seed in (0, 1)),
        pooled=[pooled_result("direct", 50.0)],
    )
    assert verdict(found).text == (
        "direct reaches 50.0 % (95 % interval 45.9 to 54.3) on 500 answers, 2 seeds."
    )


def test_controls_and_ceilings_do_not_lead() -> None:
    arms = [
        arm_result("standard", 20.0, metric="exact_match"),
        arm_result("gold-facts", 90.0, metric="exact_match", control=True),
        arm_result("both", 40.0, metric="exact_match"),
    ]
    tests = [comparison("both", "standard", 20.0, 10.0, 30.0)]
    found = verdict(results_of(*arms, comparisons=tests))
    start = "both leads with 40.0 exact match, 20.0 points above standard"
    assert found.text.startswith(start)


def test_the_arm_that_validation_chose_is_reported_though_another_leads_on_the_test_set() -> None:
    assert verdict(two(50.0, 54.0, (1.0, 7.0), best=best("direct"))).text == (
        "direct, best on validation, reaches 50.0 % on the test set, 4.0 points below uni. "
        f"The 95 % interval −7.0 to −1.0 excludes zero.{ONE_SEED}"
    )
    assert verdict(two(50.0, 54.0, (1.0, 7.0), best=best("uni"))).text.startswith(
        "uni, best on validation, reaches 54.0 % on the test set, 4.0 points above direct."
    )


def test_few_test_problems_are_warned_of_and_slower_answers_are_named() -> None:
    arms = [
        arm_result("direct", 50.0, n=12, seconds_per_answer=0.5),
        arm_result("uni", 75.0, n=12, seconds_per_answer=1.5),
    ]
    found = verdict(results_of(*arms, comparisons=[comparison("uni", "direct", 25.0, -8.0, 58.0)]))
    assert found.text.endswith(
        f"tell the two apart.{ONE_SEED} An answer of uni takes 3.0 times as long. "
        "Only 12 test problems: the intervals are wide."
    )
    alone = verdict(results_of(arms[0])).text
    assert alone.endswith("on 12 answers. Only 12 test problems: the intervals are wide.")


def test_an_arm_that_was_never_measured_on_validation_is_not_called_best_on_it() -> None:
    unmeasured = BestStudent(name="direct", seed=0, folder="f", validation=None)
    assert verdict(two(50.0, 54.0, (1.0, 7.0), best=unmeasured)).text.startswith(
        "direct leads with 50.0 %, 4.0 points below uni."
    )


def test_an_untrained_student_that_is_best_on_validation_is_called_untrained() -> None:
    arms = [arm_result("base", 50.0, train_tokens=None), arm_result("direct", 40.0)]
    tests = [comparison("base", "direct", 10.0, -1.0, 21.0)]
    found = verdict(results_of(*arms, comparisons=tests, best=best("base")))
    start = "base, not trained and best on validation, reaches 50.0 % on the test set, 10.0 points"
    assert found.text.startswith(start)


def test_an_arm_cut_by_labels_of_the_data_is_called_a_ceiling() -> None:
    arms = [arm_result("direct", 50.0), arm_result("ases-uni-gold", 60.0)]
    tests = [comparison("ases-uni-gold", "direct", 10.0, 6.0, 14.0)]
    text = verdict(results_of(*arms, comparisons=tests)).text
    assert text.endswith(
        "ases-uni-gold is cut by labels of the data: a ceiling for data without them."
    )
    assert "ceiling" not in verdict(two(50.0, 60.0, (6.0, 14.0))).text


def test_times_of_different_machines_are_left_out() -> None:
    arms = [
        arm_result("direct", 50.0, seconds_per_answer=0.5),
        arm_result("uni", 75.0, seconds_per_answer=1.5),
    ]
    found = results_of(*arms, comparisons=[comparison("uni", "direct", 25.0, 8.0, 58.0)])
    time = " An answer of uni takes 3.0 times as long."
    assert verdict(found).text.endswith(time)
    assert verdict(found, times_compare=False).text == verdict(found).text.removesuffix(time)


def test_an_arm_cut_by_labels_is_a_ceiling_in_joined_runs_too() -> None:
    """The trap: there its name has the run behind it."""
    assert (
        "a ceiling for data without" in verdict(results_of(arm_result("ases-uni-gold@b", 1))).text
    )
