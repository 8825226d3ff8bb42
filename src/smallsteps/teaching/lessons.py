"""What a teacher is asked and what it replies.

A teacher gets lessons. For each it returns a reply: a rationale, or the reason why there is none.
Three kinds of teacher exist: a language model (`prompted.py`), the exact solver of the bundled word
problems (`story_solver.py`) and a file of replies (`reply_file.py`). `filtering.py` decides which
replies are kept, in the same way for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from smallsteps.records import Problem

CUT_OFF = "cut off"
"""First words of the reason where a reply reached its token limit."""


@dataclass(frozen=True)
class Lesson:
    """A question that a teacher is to explain."""

    id: str
    problem: Problem
    attempt: str | None = None
    """A wrong rationale to correct; None: explain the question itself."""
    sample: int = 0
    """Number of this explanation among several of the same question."""
    turn: int = 0
    """How many replies to it were dropped before."""
    hint: bool = False
    """Whether the teacher sees the gold answer although there is no attempt."""


@dataclass(frozen=True)
class TeacherReply:
    """What a teacher returned for a lesson."""

    lesson: Lesson
    text: str | None
    """The rationale; None: there is none, and `reason` says why."""
    reason: str = ""
    tokens: int = 0
    """Tokens that the teacher read and wrote; words, where it is no language model."""
    final: str = ""
    """Text after the thought, where `text` contains the thought."""
    unprompted: bool = False
    """Whether no prompt asked for a closing sentence. The lenient rule then reads a text that has
    none."""
    answer: str | None = None
    """The answer that came beside an unprompted text."""
    predicted: str | None = None
    """The answer that its writer ended on, where it stands beside an unprompted text."""


class Teacher(Protocol):
    """Explains questions."""

    @property
    def name(self) -> str: ...

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """One line on what explaining these lessons may cost."""
        ...

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        """Yields one reply for each lesson, in any order."""
        ...


def lessons_for(problems: Sequence[Problem], samples: int = 1) -> list[Lesson]:
    """`samples` lessons for each problem, without attempts."""
    return [
        Lesson(f"{problem.id}/{number}", problem, sample=number)
        for problem in problems
        for number in range(samples)
    ]


def count_words(lesson: Lesson, text: str) -> int:
    """Words read and written for a lesson by a teacher that has no tokens."""
    return sum(len(part.split()) for part in (lesson.problem.question, lesson.attempt or "", text))
