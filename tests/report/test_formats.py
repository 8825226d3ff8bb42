"""Figures are rounded, never invented: what is no finite number is an en dash."""

from __future__ import annotations

import pytest

from smallsteps.report.formats import (
    amount,
    axis_name,
    duration,
    is_number,
    measure,
    number,
    p_value,
)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "7", True])
def test_what_is_no_finite_number_is_a_dash(value: object) -> None:
    """The trap: True is an int, and NaN has a format."""
    assert not is_number(value)
    assert number(value) == amount(value) == duration(value) == "–"


def test_a_negative_figure_has_a_true_minus() -> None:
    assert number(-12.34) == "−12.3" and number(2, sign=True) == "+2.0"
    assert number(12_345.6) == "12,345.6"


def test_what_rounds_to_zero_has_no_minus() -> None:
    assert number(-0.0004, 3) == "0.000" and number(-0.04, sign=True) == "+0.0"


def test_accuracy_is_in_per_cent_and_other_metrics_are_named() -> None:
    assert (measure(41.25, "accuracy"), measure(34.7, "bleu")) == ("41.2 %", "34.7 BLEU")
    assert (axis_name("accuracy"), axis_name("exact_match")) == ("Accuracy (%)", "Exact match")


def test_a_small_p_is_a_bound_and_not_zero() -> None:
    assert (p_value(0.00099), p_value(0.001), p_value(None)) == ("< 0.001", "0.001", "–")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (59.94, "59.9 s"), (119.7, "2 min 0 s"), (3_600, "1 h 0 min")],
)
def test_a_time_changes_its_unit_where_it_is_rounded_up(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_are_shortened_to_three_figures_and_never_to_a_thousand_of_a_unit() -> None:
    assert [amount(n) for n in (999, 1_000, 999_600, 2_345_678)] == [
        "999",
        "1 k",
        "1 M",
        "2.35 M",
    ]
