"""The verdict says what the paired interval says, whichever way round the test was written."""

from __future__ import annotations

from typing import Any

from smallsteps.report.verdict import baseline, summaries, verdict

from .conftest import arm_row, results


def two(a: float, b: float, metric: str = "accuracy", **test: Any) -> dict[str, Any]:
    arms = [arm_row("direct", a, metric=metric), arm_row("uni", b, metric=metric)]
    return {
        "arms": arms,
        "comparisons": [{"arm": "uni", "against": "direct", **test}] if test else [],
    }


def test_an_interval_that_includes_zero_is_never_called_a_clear_lead() -> None:
    found = verdict(two(50.0, 54.0, difference=4.0, low=-0.1, high=8.1))
    assert found.clear is False
    assert found.text == (
        "uni leads with 54.0 %, 4.0 points above direct, but the 95 % interval −0.1 to +8.1 includes zero: "
        "this run does not tell the two apart."
    )


def test_where_the_baseline_leads_the_difference_is_turned() -> None:
    found = verdict(two(60.0, 50.0, difference=-10.0, low=-14.0, high=-6.0))
    assert found.clear is True
    assert (
        found.text
        == "direct leads with 60.0 %, 10.0 points above uni. The 95 % interval +6.0 to +14.0 excludes zero."
    )


def test_lower_is_better_for_the_missing_ratio() -> None:
    found = verdict(two(39.3, 24.8, "missing_ratio", difference=-14.5, low=-20.0, high=-9.0))
    assert found.text.startswith("uni leads with 24.8 missing ratio, 14.5 points below direct.")


def test_without_a_paired_test_nothing_is_concluded() -> None:
    found = verdict(two(60.0, 50.0))
    assert found.clear is None
    assert "no paired test against uni was made" in found.text


def test_seeds_without_a_pooled_test_are_counted() -> None:
    found = two(50.0, 54.0, difference=4.0, low=1.0, high=7.0)
    found["comparisons"].append(
        {"arm": "uni", "against": "direct", "difference": 3.0, "low": -1.0, "high": 7.0}
    )
    assert "excludes zero in 1 of 2 seeds" in verdict(found).text
    assert verdict(found).clear is False


def test_equal_values_are_level() -> None:
    assert verdict(two(50.0, 50.0, difference=0.0, low=-1.0, high=1.0)).text.startswith(
        "uni and direct are level"
    ) or (verdict(two(50.0, 50.0)).text.startswith("direct and uni are level at 50.0 %"))


def test_means_over_seeds_carry_no_interval_because_seeds_share_problems() -> None:
    row = summaries({"arms": [arm_row("direct", 50.0), arm_row("direct", 52.0, seed=1)]})[0]
    assert (row["value"], row["n"], row["unparsed"], row["seeds"]) == (51.0, 1000, 22, 2)
    assert row["stopped"]["limit"] == 18
    assert "low" not in row


def test_the_baseline_is_what_the_tests_are_made_against() -> None:
    assert baseline(results()) == "direct"
    found = results()
    for test in found["comparisons"]:
        test["against"] = "ases-uni-ent"
    assert baseline(found) == "ases-uni-ent"
    assert baseline({"arms": [{"name": "a"}, {"name": "b"}]}) is None


def test_controls_and_ceilings_do_not_lead():
    arms = [
        {"name": n, "seed": 0, "value": v, "metric": "exact_match"}
        for n, v in (("standard", 20), ("gold-facts", 90), ("both", 40))
    ]
    row = {
        "arm": "both",
        "against": "standard",
        "seed": 0,
        "difference": 20.0,
        "low": 10.0,
        "high": 30.0,
    }
    found = verdict({"arms": arms, "comparisons": [row], "controls": ["gold-facts"]})
    assert found.text.startswith("both leads with 40.0 exact match, 20.0 points above standard")


def test_the_arm_that_validation_chose_is_reported_even_where_another_is_ahead_on_the_test_set() -> (
    None
):
    found = two(50.0, 54.0, difference=4.0, low=1.0, high=7.0)
    found["best"] = {"name": "direct", "seed": 0, "folder": "f", "chosen_on": "validation"}
    assert verdict(found).text == (
        "direct, best on validation, reaches 50.0 % on the test set, 4.0 points below uni. "
        "The 95 % interval −7.0 to −1.0 excludes zero."
    )
    found["best"]["name"] = "uni"
    assert verdict(found).text.startswith(
        "uni, best on validation, reaches 54.0 % on the test set, 4.0 points above direct."
    )
