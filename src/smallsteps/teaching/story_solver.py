"""A teacher that solves the bundled word problems exactly: deterministic, free and always right."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks.equations import find_equations
from smallsteps.tasks.stories import story_of
from smallsteps.tasks.story import STYLES, Story
from smallsteps.teaching.lessons import Lesson, TeacherReply, count_words


@dataclass(frozen=True)
class StorySolver:
    """The exact solver of the bundled word problems. It remakes a problem from its id.

    Explanations of one problem differ in wording and order (`story.STYLES`). With an attempt, the
    solver splits the first wrong step into smaller steps, in a wording that depends on the attempt.
    Where only the closing sentence is wrong, it states the result once more."""

    name: str = "solver"

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """One line on what the solver will write."""
        return f"exact solver: {len(lessons):,} replies, 0 calls"

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        """Yields one reply for each lesson, in order. Raises DataError on any other problem."""
        for lesson in lessons:
            solved = _story_of(lesson.problem)
            style, wrong_step = lesson.sample, None
            if lesson.attempt is not None:
                style += zlib.crc32(lesson.attempt.encode())
                wrong_step = first_wrong_step(solved, lesson.attempt)
            pieces = solved.pieces(style % STYLES, expand=wrong_step)
            text = "".join(text for _, text in pieces)
            yield TeacherReply(lesson, text, tokens=count_words(lesson, text))


def _story_of(problem: Problem) -> Story:
    solved = story_of(problem)
    if solved is None:
        raise DataError(
            f"{problem.id}: the exact solver only solves the bundled word problems. "
            "Name another teacher (--teacher MODEL)."
        )
    return solved


def first_wrong_step(solved: Story, attempt: str) -> int:
    """Index of the first step that `attempt` lacks or gets wrong; the number of steps where
    `attempt` has them all."""
    written = {(equation.expression, equation.result) for equation in find_equations(attempt)}
    for index, step in enumerate(solved.steps):
        expression = (str(step.left), step.operator, str(step.right))
        if (expression, Fraction(step.result)) not in written:
            return index
    return len(solved.steps)
