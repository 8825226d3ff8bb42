"""Readings: a value, a refusal, or no certain value."""

from __future__ import annotations

from fractions import Fraction

import pytest

from smallsteps.tasks.quantities import Reading, read_quantity, without_contrast


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("no number", Reading()),
        ("5 pens", Reading(Fraction(5))),
        ("not 5", Reading(refused=True)),
        ("4 or 6", Reading(refused=True)),
        ("5 to 7", Reading(refused=True)),
        ("x = 5 or x = 6", Reading(refused=True)),
        ("4 and 6", Reading(unclear=True)),
        ("5-7", Reading(unclear=True)),
        ("3,5", Reading(unclear=True)),
        ("rounded up to 5", Reading(Fraction(5))),  # no bound
        ("120 minutes, or 2 hours", Reading(Fraction(120))),  # the same said again
        ("4 apples or 6 pears", Reading(refused=True)),
    ],
)
def test_what_a_text_says(text: str, reading: Reading) -> None:
    assert read_quantity(text) == reading


def test_the_number_that_an_answer_is_set_against_is_left_out() -> None:
    assert without_contrast("5 rather than 6") == "5"
    assert without_contrast("not 5, it is 6") == "6"
    assert without_contrast("not 5") == "not 5"
