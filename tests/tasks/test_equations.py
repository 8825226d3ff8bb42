"""The equations of a text: what is read over, how results are rounded, what counts as one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from smallsteps.tasks.equations import Equation, find_equations
from smallsteps.tasks.stories import make_chains, story_of
from smallsteps.tasks.story import STYLES


def shown(text: str) -> list[tuple[str, str, bool]]:
    return [(" ".join(e.expression), str(e.result), e.holds) for e in find_equations(text)]


def only(text: str) -> Equation:
    (equation,) = find_equations(text)
    return equation


@pytest.mark.parametrize(
    ("text", "expression", "result"),
    [
        ("so she has 3 x 4 = 12 pens.", "3 x 4", "12"),
        ("sold 48/2 = 24 clips", "48 / 2", "24"),
        ("$15 * 2 = $30", "15 x 2", "30"),
        ("100 logs/walnut * 4 walnuts = 400 logs", "100 x 4", "400"),
        ("12 boxes x 5 pens per box = 60 pens", "12 x 5", "60"),
        ("6 (remaining amount) + 16 (spent amount) = 22.", "6 + 16", "22"),
        ("260 - (-37) = 297", "260 - ( - 37 )", "297"),
        ("2 * (3 + 4) - 1 = 13", "2 x ( 3 + 4 ) - 1", "13"),
        ("1,000 + 2,500 = 3,500", "1000 + 2500", "3500"),
        ("20000 * .80 = 16000", "20000 x .80", "16000"),
        ("20% * 50 = 10", "( 20 / 100 ) x 50", "10"),
        ("50 / 200 = 25%", "50 / 200", "1/4"),
        ("50 / 200 * 100 = 25 %", "50 / 200 x 100", "25"),
        ("50 / 60 = 5/6 of an hour", "50 / 60", "5/6"),
        ("(1 - 1/3 = 2/3)", "1 - 1 / 3", "2/3"),
        ("48 / 2 is 24, and", "48 / 2", "24"),
        ("30 ÷ 5 equals 6", "30 / 5", "6"),
        ("3 × 4 ＝ 12", "3 x 4", "12"),
        ("5 - 8 = -3", "5 - 8", "-3"),
        ("x = 5 * 30 = 150", "5 x 30", "150"),
    ],
)
def test_units_currencies_and_brackets_are_read_over(
    text: str, expression: str, result: str
) -> None:
    assert shown(text) == [(expression, result, True)]


def test_a_value_written_anew_is_one_equation_and_a_running_total_several() -> None:
    assert shown("3 + 6*3 = 3 + 18 = 21.") == [("3 + 6 x 3", "21", True)]
    assert shown("100/3 + 1 = 33.33 + 1 = 34.33") == [("100 / 3 + 1", "3433/100", True)]
    assert shown("3 x 4 = 12 + 5 = 17") == [("3 x 4", "12", True), ("12 + 5", "17", True)]
    assert shown("3 + 4 = 8 x 2 = 16") == [("3 + 4", "8", False), ("8 x 2", "16", True)]
    assert shown("6 x 2 = 12 = 12") == [("6 x 2", "12", True)]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("2 / 3 = 0.67", True),
        ("2 / 3 = 0.66", True),
        ("2 / 3 = 0.6", True),
        ("2 / 3 = 0.65", False),
        ("7 / 2 = 3", True),
        ("7 / 2 = 4", True),
        ("7 / 2 = 5", False),
        ("0.1 + 0.2 = 0.3", True),
        ("0.1 + 0.2 = 0.4", False),
        ("3 + 4 = 8", False),
        ("50 / 200 = 20%", False),
    ],
)
def test_a_result_may_be_rounded_or_cut_off_and_nothing_more(text: str, holds: bool) -> None:
    assert only(text).holds is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8 plus 16 equals 24",
        "Total = 2",
        "5 / 0 = 3",
        "2x + 3 = x",
        "3 +",
        "= 4",
        "1. Add 3 = 3",
    ],
)
def test_what_is_no_arithmetic_of_numbers_is_no_equation(text: str) -> None:
    assert find_equations(text) == []


def test_an_equation_knows_where_it_stands() -> None:
    text = "First: 3 x 4 = 12 pens, then (12 - 5 = 7)."
    assert [text[e.start : e.end] for e in find_equations(text)] == ["3 x 4 = 12", "(12 - 5 = 7"]


def test_equal_results_and_equal_expressions() -> None:
    assert only("1 / 3 = 0.333").same_result(only("2 / 6 = 0.33"))
    assert only("50 / 60 = 5/6").same_result(only("5 / 6 = 0.83"))
    assert not only("49 / 2 = 24.5").same_result(only("48 / 2 = 24"))
    assert not only("50 / 60 = 5/6").same_result(only("5 - 4 = 1"))
    assert only("3 + 4 = 7").same_expression(only("4 + 3 = 7"))
    assert only("3 x 4 = 12").same_expression(only("4 * 3 = 12"))
    assert not only("7 - 4 = 3").same_expression(only("4 - 7 = 3"))
    assert not only("3 + 4 = 7").same_expression(only("2 + 5 = 7"))


def test_the_equations_of_bundled_chains_are_the_steps_of_their_stories() -> None:
    """Two ways agree: what the generator knows, and what is read from its text, in all styles."""
    for chain in make_chains(60, 5, "hard"):
        story = story_of(chain.problem)
        assert story is not None
        steps = [((str(s.left), s.operator, str(s.right)), s.result) for s in story.steps]
        for style in range(STYLES):
            text = "".join(part for _, part in story.pieces(style))
            equations = find_equations(text)
            assert [(e.expression, e.result) for e in equations] == steps
            assert all(e.holds and isinstance(e.result, Fraction) for e in equations)
