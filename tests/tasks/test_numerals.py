"""Numerals: every numeral has one value, or None where it names none for certain."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.tasks.numerals import in_unit_asked, numerals, plain, plain_text


def values(text: str, decimal_comma: bool = False) -> list[str | None]:
    found = numerals(plain_text(text, decimal_comma), decimal_comma)
    return [None if numeral.value is None else plain(numeral.value) for numeral in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 - 3", ["8", "3"]),
        ("32 dollars - 4 dollars", ["32", "4"]),
        ("= -3 and (-4)", ["-3", "-4"]),
        ("10:30 and 3:4", []),
        ("24 miles in 3 hours", ["24", "3"]),  # no Spanish `mil`
        ("5 minus 3 is minus 2", ["5", "3", "-2"]),
        ("1/0", [None]),
        ("2√3 and 2 × 10^3", [None, None, "2000"]),
        ("12 m² of 5 m^2", ["12", "5"]),
        ("3 1/2 and 4 ½", ["3.5", "4.5"]),
        ("3,5 of 1,000", [None, "1000"]),
        ("9" * 201, [None]),
        ("2^9999", [None]),
    ],
)
def test_numerals_of_a_text_in_order(text: str, expected: list[str | None]) -> None:
    assert values(text) == expected


def test_a_decimal_comma_turns_points_and_commas_round() -> None:
    assert values("3,5 und 1.000 und 1.234,5 und 0.125", True) == ["3.5", "1000", "1234.5", "0.125"]
    assert values("5 mil", True) == ["5000"] and values("5 mil") == ["5"]


@given(
    st.integers(0, 10**12),
    st.sampled_from([",", " ", "'", "_", "\u2009", "\u202f", "\u00a0", "’", r"\,", "{,}"]),
)
def test_any_mark_between_thousands_changes_nothing(value: int, separator: str) -> None:
    assert values(f"{value:,}".replace(",", separator)) == [str(value)]


@given(st.integers(0, 10**9), st.sampled_from("٠०০๐０𝟎"))
def test_digits_of_every_script_have_their_value(value: int, zero: str) -> None:
    assert values("".join(chr(ord(zero) + int(digit)) for digit in str(value))) == [str(value)]


@given(st.fractions(max_denominator=10_000))
def test_what_is_written_is_read_back(value: Fraction) -> None:
    assert [numeral.value for numeral in numerals(plain_text(plain(value)))] == [value]


def test_words_of_magnitude_that_the_question_counts_in_are_left_out() -> None:
    assert values(in_unit_asked("7 dozen of 2 million", "How many dozens?")) == ["7", "2000000"]
    assert values(in_unit_asked("7 dozen", "She buys 3 dozen. How many eggs?")) == ["84"]
