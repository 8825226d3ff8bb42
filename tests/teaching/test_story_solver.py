"""The exact solver: always right, and its reply to a mistake addresses that mistake."""

from __future__ import annotations

import re

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains, story
from smallsteps.tasks.story import STYLES
from smallsteps.teaching.lessons import Lesson
from smallsteps.teaching.story_solver import StorySolver, first_wrong_step

TASK = get_task("stories")
CHAINS = make_chains(60, 3, "hard")


def explanations(lessons: list[Lesson]) -> list[str]:
    return [reply.text or "" for reply in StorySolver().explain(lessons)]


def test_the_solver_is_always_right_and_has_several_ways_to_say_it() -> None:
    for chain in CHAINS:
        replies = explanations([Lesson(f"{n}", chain.problem, sample=n) for n in range(STYLES)])
        assert len(set(replies)) == STYLES >= 3
        assert all(
            TASK.extract(text, False, chain.problem) == chain.problem.answer for text in replies
        )


def test_the_solver_takes_the_first_wrong_step_apart_and_every_equation_holds() -> None:
    expanded = 0
    for chain in CHAINS:
        right = chain.rationale.text
        sums = list(re.finditer(r"\d+ [-+x/] \d+ = (\d+)", right))
        place = len(sums) // 2
        start, end = sums[place].span(1)
        attempt = f"{right[:start]}{int(sums[place][1]) + 1}{right[end:]}"
        text = explanations([Lesson("a", chain.problem, attempt)])[0]
        assert TASK.extract(text, False, chain.problem) == chain.problem.answer
        for a, sign, b, c in re.findall(r"(\d+) ([-+x/]) (\d+) = (\d+)", text):
            assert {
                "+": int(a) + int(b),
                "-": int(a) - int(b),
                "x": int(a) * int(b),
                "/": int(a) / int(b),
            }[sign] == int(c)
            assert int(a) * int(c) <= 10_000
        assert sums[place][0] in text, "the step itself is still made"
        expanded += len(re.findall(r"= \d+", text)) > len(sums)
    assert expanded == len(CHAINS), "every step has smaller ones"


def test_a_reply_to_a_mistake_differs_from_every_reply_without_one() -> None:
    for chain in CHAINS:
        plain = set(explanations([Lesson(str(n), chain.problem, sample=n) for n in range(STYLES)]))
        right = chain.rationale.text
        closing = right.replace(f"The answer is {chain.problem.answer}.", "The answer is 99.")
        replies = explanations(
            [
                Lesson(str(n), chain.problem, wrong)
                for n, wrong in enumerate((closing, "No idea.", "Hm."))
            ]
        )
        assert not plain & set(replies)
        assert all(
            TASK.extract(text, False, chain.problem) == chain.problem.answer for text in replies
        )


def test_the_first_wrong_step_is_found_where_others_are_right() -> None:
    solved = story(3, 0, "hard")
    right = "".join(text for _, text in solved.pieces())
    assert first_wrong_step(solved, right) == len(solved.steps)
    equation = solved.steps[1].equation
    assert first_wrong_step(solved, right.replace(equation, equation + "0")) == 1
    assert first_wrong_step(solved, "no idea") == 0
    assert first_wrong_step(solved, right.replace(" x ", " * ").replace(" = ", "=")) == len(
        solved.steps
    ), "signs and spaces do not matter"


def test_the_solver_refuses_other_problems() -> None:
    problem = CHAINS[0].problem
    for other in (
        Problem("q1", "How many?", "3"),
        Problem(problem.id, problem.question + " Why?", problem.answer),
    ):
        with pytest.raises(DataError, match="only solves the bundled word problems"):
            explanations([Lesson("a", other)])


def test_the_forecast_counts_replies_and_no_calls() -> None:
    lessons = [Lesson("a", CHAINS[0].problem), Lesson("b", CHAINS[1].problem)]
    assert StorySolver().forecast(lessons) == "exact solver: 2 replies, 0 calls"
