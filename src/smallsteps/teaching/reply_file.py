"""A teacher that is a file: replies that were bought or written elsewhere.

A file can say what it replies to a mistake in two ways. Rows with `attempt` correct the wrong
rationale that they name. Rows of a second file, the corrections, answer whatever mistake a student
makes in their question; they are chains of another teacher, say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError
from smallsteps.generation.bodies import whole_characters
from smallsteps.generation.completion import Answer
from smallsteps.generation.settings import Thinking
from smallsteps.records import Problem
from smallsteps.tasks.fields import marked_correct, scalar
from smallsteps.tasks.files import at, read_rows
from smallsteps.tasks.thoughts import split_thought
from smallsteps.teaching.lessons import Lesson, TeacherReply, count_words

MARKED_WRONG = "marked `correct: false` in its file"


@dataclass(frozen=True)
class FileReply:
    """A row of a file of replies."""

    text: str
    answer: str | None
    """The row's `answer`."""
    predicted: str | None = None
    """The row's `predicted`: the answer that its writer ended on."""
    correct: bool | None = None
    """The row's `correct`."""


@dataclass(frozen=True)
class FileTeacher:
    """Replies from rows with `id`, `rationale` and optionally `answer`, `predicted` and `correct`.

    Rows of one id are samples, in the order of the file. A row that corrects a wrong rationale
    names it as `attempt`. Tokens are the words of question, attempt and reply."""

    name: str
    replies: Mapping[tuple[str, str | None], Sequence[FileReply]] = field(repr=False)
    """(problem id, attempt) → its replies."""
    thinking: Thinking = "drop"
    corrections: Mapping[tuple[str, str | None], Sequence[FileReply]] = field(
        default_factory=dict, repr=False
    )
    """(problem id, attempt) → replies of the second file."""

    @property
    def corrects(self) -> bool:
        """Whether any reply corrects a wrong rationale."""
        return bool(self.corrections) or any(attempt is not None for _, attempt in self.replies)

    @classmethod
    def read(
        cls,
        path: str | Path,
        thinking: Thinking = "drop",
        corrections: str | Path | None = None,
    ) -> FileTeacher:
        """The teacher of a file, and of a second one with `corrections`. Raises DataError on a row
        without `id` or `rationale`, and on an answer that is neither text nor a number."""
        second = {} if corrections is None else _read_replies(corrections)
        name = Path(path).name if corrections is None else _both_names(path, corrections)
        return cls(name, _read_replies(path), thinking, second)

    def correctable(self, problems: Sequence[Problem]) -> int:
        """Of how many problems the second file answers any mistake."""
        return sum((problem.id, None) in self.corrections for problem in problems)

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """One line on how many replies the file holds for these lessons."""
        counts = [
            len(replies)
            for lesson in {
                (lesson.problem.id, lesson.attempt): lesson for lesson in lessons
            }.values()
            if (replies := self._replies_for(lesson))
        ]
        questions = len({(lesson.problem.id, lesson.attempt) for lesson in lessons})
        return (
            f"file teacher: {sum(counts):,} replies for {len(counts):,} of {questions:,} "
            "questions, 0 calls"
        )

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        """Yields one reply for each lesson, in order."""
        for lesson in lessons:
            replies = self._replies_for(lesson)
            place = self._place(lesson)
            if place < len(replies):
                yield self._reply(lesson, replies[place])
            else:
                asked_for = "this question" if lesson.attempt is None else "this wrong rationale"
                reason = f"{self.name} holds {len(replies)} replies for {asked_for}"
                yield TeacherReply(lesson, None, reason)

    def _replies_for(self, lesson: Lesson) -> Sequence[FileReply]:
        """The samples for a lesson: rows of the file itself, then those of the corrections."""
        rows = self._rows_that_name(lesson)
        if lesson.attempt is None:
            return rows
        return [*rows, *self.corrections.get((lesson.problem.id, None), ())]

    def _rows_that_name(self, lesson: Lesson) -> list[FileReply]:
        """Rows for the question, or for the very mistake."""
        key = (lesson.problem.id, lesson.attempt)
        return [*self.replies.get(key, ()), *self.corrections.get(key, ())]

    def _place(self, lesson: Lesson) -> int:
        """Which of the samples answers a lesson. Several mistakes of a question have sample numbers
        in common, so that each gets another of the rows that answer any mistake; a row that names
        its mistake answers it whatever the number."""
        named = lesson.attempt is not None and lesson.turn < len(self._rows_that_name(lesson))
        return lesson.turn if named else lesson.sample

    def _reply(self, lesson: Lesson, row: FileReply) -> TeacherReply:
        text = whole_characters(row.text)
        tokens = count_words(lesson, text)
        if row.correct is False:
            return TeacherReply(lesson, None, MARKED_WRONG, tokens)
        thought, rest, ended = split_thought(text)
        answer = Answer(rest, False, None, None, thought, ended)
        try:
            rationale = answer.text_under(self.thinking)
        except ValueError as reason:
            return TeacherReply(lesson, None, str(reason), tokens)
        final = answer.final(self.thinking)
        return TeacherReply(
            lesson,
            rationale,
            tokens=tokens,
            final=final,
            unprompted=not final,
            answer=row.answer,
            predicted=row.predicted,
        )


def _read_replies(path: str | Path) -> dict[tuple[str, str | None], list[FileReply]]:
    """(problem id, attempt) → the replies of a file, in its order."""
    replies: dict[tuple[str, str | None], list[FileReply]] = defaultdict(list)
    for number, row in read_rows(path):
        with at(f"{path}:{number}"):
            key = (_text_field(row, "id"), _attempt(row))
            rationale = _text_field(row, "rationale").strip()
            reply = FileReply(
                rationale, scalar(row, "answer"), scalar(row, "predicted"), marked_correct(row)
            )
            replies[key].append(reply)
    return dict(replies)


def _both_names(path: str | Path, corrections: str | Path) -> str:
    """The names of two files, with their folders where the files are called alike."""
    names = Path(path).name, Path(corrections).name
    if names[0] == names[1]:
        names = "/".join(Path(path).parts[-2:]), "/".join(Path(corrections).parts[-2:])
    return " and ".join(names)


def _text_field(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if name == "id" and type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"`{name}` is missing or no text. A reply has `id` and `rationale`.")
    return value


def _attempt(row: Mapping[str, Any]) -> str | None:
    return None if row.get("attempt") is None else _text_field(row, "attempt")
