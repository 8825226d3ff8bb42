"""Who can teach: a language model behind a Generator, the exact solver of the bundled problems, a
file of replies.

A teacher gets lessons and gives a rationale for each, or the reason why there is none. What becomes
of them (graded, kept, dropped) is decided in `teach.py`, alike for all."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from smallsteps.errors import DataError
from smallsteps.generation.bodies import whole_characters
from smallsteps.generation.completion import Answer, Thinking, check_thinking
from smallsteps.generation.generator import ChatGenerator, Decoding, Request
from smallsteps.records import Problem
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import at, read_rows
from smallsteps.tasks.rows import scalar
from smallsteps.tasks.stories import STYLES, Story, story
from smallsteps.tasks.thoughts import split_thought
from smallsteps.teaching.prompts import Prompt, read_prompt

CUT_OFF = "cut off"
"""How the reason begins of a reply that ran into its limit of tokens."""


@dataclass(frozen=True)
class Lesson:
    """Something to be explained."""

    id: str
    problem: Problem
    attempt: str | None = None
    """A wrong rationale to be answered; None: explain the problem as such."""
    sample: int = 0
    """Which of several explanations of the same."""
    hint: bool = False
    """Whether the teacher is shown the gold answer although there is no attempt."""


@dataclass(frozen=True)
class Taught:
    """What a teacher said to a lesson."""

    lesson: Lesson
    text: str | None
    """None: nothing came; `reason` says why."""
    reason: str = ""
    tokens: int = 0
    """Read and written by the teacher; of one that is no language model, words."""
    final: str = ""
    """What the teacher said after its thought, where the thought belongs to `text`."""
    unprompted: bool = False
    """Whether no prompt told its writer how to close: a text without a closing is then read by the
    lenient rule."""
    answer: str | None = None
    """The answer that came beside an unprompted text."""


class Teacher(Protocol):
    """Anything that explains."""

    @property
    def name(self) -> str: ...

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[Taught]:
        """One answer for each lesson, in any order."""
        ...


@dataclass(frozen=True)
class PromptedTeacher:
    """A language model, asked by prompts."""

    name: str
    generator: ChatGenerator
    task: Task
    initial: Prompt
    feedback: Prompt
    decoding: Decoding
    blind: Prompt = field(default_factory=lambda: read_prompt("blind"))

    def request(self, lesson: Lesson) -> Request:
        """What is asked: `feedback` where there is an attempt, `blind` where there is a hint alone,
        else `initial`."""
        prompt = (
            self.feedback
            if lesson.attempt is not None
            else self.blind
            if lesson.hint
            else self.initial
        )
        messages = prompt.render(self.task, lesson.problem, lesson.attempt)
        return Request(lesson.id, messages, first_sample=lesson.sample)

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """What asking these may cost, in a line. Raises RecipeError where they cannot be asked for
        want of a key."""
        return self.generator.forecast(map(self.request, lessons), self.decoding)

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[Taught]:
        by_id = {lesson.id: lesson for lesson in lessons}
        for reply in self.generator.generate(map(self.request, lessons), self.decoding):
            lesson = by_id[reply.id]
            if reply.finished == "failed":
                yield Taught(lesson, None, reply.error or "no reply", reply.read + reply.tokens)
            elif reply.finished == "limit":
                yield Taught(
                    lesson,
                    None,
                    f"{CUT_OFF} after {reply.tokens} tokens",
                    reply.read + reply.tokens,
                )
            else:
                yield Taught(
                    lesson, reply.text, tokens=reply.read + reply.tokens, final=reply.final
                )


_EQUATION = re.compile(r"(\d+)\s*([-+x*/×÷])\s*(\d+)\s*=\s*(-?\d+)")
_SIGNS = {"*": "x", "×": "x", "÷": "/"}


@dataclass(frozen=True)
class Solver:
    """The exact solver: knows the bundled word problems from their ids and writes the solution
    itself. Deterministic, free, and right.

    Explanations of one problem differ in wording and order (`stories.STYLES`). With an attempt, the
    first step that goes wrong is taken apart into smaller steps (where only the closing is wrong,
    the result is said once more), in a wording that depends on the attempt."""

    name: str = "solver"

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """What it will write, in a line."""
        return f"exact solver: {len(lessons):,} replies, 0 calls"

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[Taught]:
        for lesson in lessons:
            told = _story_of(lesson.problem)
            style, wrong = lesson.sample, None
            if lesson.attempt is not None:
                style += zlib.crc32(lesson.attempt.encode())
                wrong = first_wrong_step(told, lesson.attempt)
            text = "".join(text for _, text in told.pieces(style % STYLES, expand=wrong))
            yield Taught(lesson, text, tokens=_words(lesson, text))


def _story_of(problem: Problem) -> Story:
    found = re.fullmatch(r"stories-(easy|medium|hard)-(\d+)-(\d+)", problem.id)
    told = story(int(found[2]), int(found[3]), found[1]) if found else None  # type: ignore[arg-type]
    if told is None or told.text() != problem.question:
        raise DataError(
            f"{problem.id}: the exact solver knows the bundled word problems only. Name another teacher (--teacher MODEL)."
        )
    return told


def first_wrong_step(told: Story, attempt: str) -> int:
    """Place of the first inference that `attempt` does not make or makes wrongly; their number
    where all are there."""
    made = [
        (int(a), _SIGNS.get(sign, sign), int(b), int(c))
        for a, sign, b, c in _EQUATION.findall(attempt)
    ]
    for place, step in enumerate(told.steps):
        if (step.left, step.operator, step.right, step.result) not in made:
            return place
    return len(told.steps)


@dataclass(frozen=True)
class FileReply:
    """A row of a file of replies."""

    text: str
    answer: str | None
    """Of its own column."""


@dataclass(frozen=True)
class FileTeacher:
    """Replies bought elsewhere: rows with `id`, `rationale` and, where they have it, `answer`;
    several of one id in their order; one that answers a wrong rationale names it as `attempt`.
    Tokens are words of question, attempt and reply."""

    name: str
    replies: Mapping[tuple[str, str | None], Sequence[FileReply]] = field(repr=False)
    """(problem id, attempt) → its replies."""
    thinking: Thinking = "drop"

    @classmethod
    def read(cls, path: str | Path, thinking: Thinking = "drop") -> FileTeacher:
        """Raises DataError on a row without `id` or `rationale`, and on an answer that is neither
        text nor a number."""
        replies: dict[tuple[str, str | None], list[FileReply]] = defaultdict(list)
        for number, row in read_rows(path):
            id, rationale, attempt = row.get("id"), row.get("rationale"), row.get("attempt")
            if type(id) is int:
                id = str(id)
            for name, value in (("id", id), ("rationale", rationale), ("attempt", attempt)):
                if not (isinstance(value, str) and value.strip()) and not (
                    name == "attempt" and value is None
                ):
                    raise DataError(
                        f"{path}:{number}: `{name}` is missing or no text. A reply has `id` and `rationale`."
                    )
            with at(f"{path}:{number}"):
                reply = FileReply(str(rationale).strip(), scalar(row, "answer"))
            replies[str(id), attempt].append(reply)
        return cls(Path(path).name, dict(replies), check_thinking(thinking))

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """What the file holds for these, in a line."""
        asked = {(lesson.problem.id, lesson.attempt) for lesson in lessons}
        counts = [len(self.replies[key]) for key in asked if key in self.replies]
        return f"file teacher: {sum(counts):,} replies for {len(counts):,} of {len(asked):,} questions, 0 calls"

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[Taught]:
        for lesson in lessons:
            found = self.replies.get((lesson.problem.id, lesson.attempt), ())
            if lesson.sample < len(found):
                reply = found[lesson.sample]
                text = whole_characters(reply.text)
                thought, rest, ended = split_thought(text)
                answer = Answer(rest, False, None, None, thought, ended)
                try:
                    rationale = answer.text_under(self.thinking)
                except ValueError as reason:
                    yield Taught(lesson, None, str(reason), _words(lesson, text))
                else:
                    final = answer.final(self.thinking)
                    tokens = _words(lesson, text)
                    yield Taught(
                        lesson,
                        rationale,
                        "",
                        tokens,
                        final,
                        unprompted=not final,
                        answer=reply.answer,
                    )
            else:
                what = "it" if lesson.attempt is None else "this wrong rationale"
                yield Taught(lesson, None, f"{self.name} holds {len(found)} replies for {what}")


def _words(lesson: Lesson, text: str) -> int:
    """What a teacher without tokens read and wrote."""
    return sum(len(part.split()) for part in (lesson.problem.question, lesson.attempt or "", text))
