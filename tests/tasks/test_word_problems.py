"""Numbers: read from what students write, compared by value."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.word_problems import (
    extract_number,
    extract_number_or_words,
    number,
    numbers_in,
    plain,
    same_number,
    same_number_or_words,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", "5"),
        ("5.0", "5"),
        ("1,000", "1000"),
        ("$1,234.50", "2469/2"),
        ("1/2", "1/2"),
        ("1 1/2", "3/2"),
        ("2½", "5/2"),
        ("½", "1/2"),
        ("\\frac{3}{4}", "3/4"),
        ("50%", "50"),
        ("-5", "-5"),
        ("−5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("€7", "7"),
        (".5", "1/2"),
        ("5kg", "5"),
        ("**5**", "5"),
        ("\\$5", "5"),
        ("１２", "12"),
        ("1e3", "1000"),
        ("3 + 4 = 7 apples", "7"),
        ("270 + 54 = 324, which is 2 more", "324"),
        ("18 dollars per day for 7 days", "18"),
        ("in total, 5", "5"),
    ],
)
def test_number_reads_the_value(text: str, value: str) -> None:
    assert number(text) == Fraction(value)


@pytest.mark.parametrize("text", ["", "none", "3:30", "3:4", "2/0", "9" * 500, "1e999999999", None])
def test_number_is_none_where_there_is_no_single_value(text: str | None) -> None:
    assert number(text) in (None, Fraction(1)) if text == "1e999999999" else number(text) is None


def test_a_minus_between_numbers_is_no_sign() -> None:
    assert numbers_in("10-5") == [10, 5]
    assert numbers_in("8 - 3") == [8, 3]
    assert numbers_in("= -3 and (-4)") == [-3, -4]


def test_a_student_that_repeats_digits_without_end_costs_no_time() -> None:
    start = time.monotonic()
    assert extract_number("The answer is " + "7" * 20_000 + ".", True) is None
    assert extract_number("1/" * 5_000, True) is not None
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("5.0", "5", True),
        ("1,000", "1000", True),
        ("1/2", "0.5", True),
        ("$3", "3", True),
        ("50 %", "50", True),
        ("0.333", "1/3", True),
        ("0.167", "1/6", True),
        ("-5", "5", False),
        ("1000", "1001", False),
        ("1000000", "1000500", False),  # a tolerance relative to size would take it
        ("0.0005", "0.0001", False),  # an absolute one would take it
        ("0", "0", True),
        ("0", "0.0009", False),
        ("12", "1", False),
        ("1,234", "1", False),  # cut at its comma, as in the authors' code
        ("none", "none", False),
    ],
)
def test_same_number_is_by_value(answer: str, gold: str, equal: bool) -> None:
    assert same_number(answer, gold) is equal
    assert same_number(gold, answer) is equal


@given(st.fractions(max_denominator=1000))
def test_numbers_survive_being_written_out(value: Fraction) -> None:
    assert number(plain(value)) == value
    assert extract_number(f"The answer is {plain(value)}.") == plain(value)


@given(st.integers(-(10**12), 10**12))
def test_thousands_commas_change_nothing(value: int) -> None:
    assert number(f"{value:,}") == value


def test_strict_reads_the_closing_alone_and_lenient_the_last_number() -> None:
    chain = "She had 3 and 4, so 7 in 2 bags."
    assert extract_number(chain) is None
    assert extract_number(chain, True) == "2"
    assert extract_number(chain + " The answer is 7.", True) == "7"
    assert extract_number("The answer is 7. She had 2 bags.") is None
    assert extract_number("The answer is 7. She had 2 bags.", True) == "2"
    assert extract_number("no number", True) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 15.", "15"),
        ("The answer is 15 (apples).", "15"),
        ("The answer is $15 each.", "15"),
        ("The answer is 5/2.", "2.5"),
        ("The answer is 3:45.", "3:45"),
        ("The answer is 3:4.", "3:4"),
        ("The answer is 6th.", "6th"),
        ("The answer is Vendor 2.", "Vendor 2"),
        ("The answer is Mrs. Hilt.", "Mrs. Hilt"),
        ("The answer is 36 (years old); 12 (years old).", "36 (years old); 12 (years old)"),
        ("The answer is -.", "-"),
        ("The answer is.", None),
    ],
)
def test_answers_that_are_no_plain_number_stay_words(text: str, answer: str | None) -> None:
    assert extract_number_or_words(text) == answer


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("15", "15 (apples)", True),
        ("she has 15 apples", "15", True),
        ("36; 12", "36 (years old); 12 (years old)", True),
        ("12; 36", "36; 12", False),
        ("3:45", "345", False),
        ("6", "6th", False),
        ("6th", "6", False),
        ("the 60th caller", "The 60th caller.", True),
        ("john", "John", True),
        ("5/2", "2.5", True),
    ],
)
def test_same_number_or_words(answer: str, gold: str, equal: bool) -> None:
    assert same_number_or_words(answer, gold) is equal


def test_own_data_may_have_words_for_answers() -> None:
    numbers = get_task("numbers")
    assert numbers.gold(Problem("q", "Is it?", "yes")) == "yes"
    assert numbers.extract("So it is. The answer is yes.", False, None) == "yes"
