"""A teacher that is a file: replies that were bought or written elsewhere."""

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
from smallsteps.tasks.fields import scalar
from smallsteps.tasks.files import at, read_rows
from smallsteps.tasks.thoughts import split_thought
from smallsteps.teaching.lessons import Lesson, TeacherReply, count_words


@dataclass(frozen=True)
class FileReply:
    """A row of a file of replies."""

    text: str
    answer: str | None
    """The row's `answer`."""


@dataclass(frozen=True)
class FileTeacher:
    """Replies from rows with `id`, `rationale` and optionally `answer`.

    Rows of one id are samples, in the order of the file. A row that corrects a wrong rationale
    names it as `attempt`. Tokens are the words of question, attempt and reply."""

    name: str
    replies: Mapping[tuple[str, str | None], Sequence[FileReply]] = field(repr=False)
    """(problem id, attempt) → its replies."""
    thinking: Thinking = "drop"

    @property
    def corrects(self) -> bool:
        """Whether any reply corrects a wrong rationale."""
        return any(attempt is not None for _, attempt in self.replies)

    @classmethod
    def read(cls, path: str | Path, thinking: Thinking = "drop") -> FileTeacher:
        """The teacher of a file. Raises DataError on a row without `id` or `rationale`, and on an
        answer that is neither text nor a number."""
        replies: dict[tuple[str, str | None], list[FileReply]] = defaultdict(list)
        for number, row in read_rows(path):
            with at(f"{path}:{number}"):
                key = (_text_field(row, "id"), _attempt(row))
                rationale = _text_field(row, "rationale").strip()
                replies[key].append(FileReply(rationale, scalar(row, "answer")))
        return cls(Path(path).name, dict(replies), thinking)

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """One line on how many replies the file holds for these lessons."""
        keys = {(lesson.problem.id, lesson.attempt) for lesson in lessons}
        counts = [len(self.replies[key]) for key in keys if key in self.replies]
        return (
            f"file teacher: {sum(counts):,} replies for {len(counts):,} of {len(keys):,} "
            "questions, 0 calls"
        )

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        """Yields one reply for each lesson, in order."""
        for lesson in lessons:
            replies = self.replies.get((lesson.problem.id, lesson.attempt), ())
            if lesson.sample < len(replies):
                yield self._reply(lesson, replies[lesson.sample])
            else:
                asked_for = "this question" if lesson.attempt is None else "this wrong rationale"
                reason = f"{self.name} holds {len(replies)} replies for {asked_for}"
                yield TeacherReply(lesson, None, reason)

    def _reply(self, lesson: Lesson, row: FileReply) -> TeacherReply:
        text = whole_characters(row.text)
        tokens = count_words(lesson, text)
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
        )


def _text_field(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if name == "id" and type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"`{name}` is missing or no text. A reply has `id` and `rationale`.")
    return value


def _attempt(row: Mapping[str, Any]) -> str | None:
    return None if row.get("attempt") is None else _text_field(row, "attempt")
