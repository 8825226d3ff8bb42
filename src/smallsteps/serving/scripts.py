"""What a student reads and writes for one choice of a reply, turn by turn.

`ChainScript` writes a chain of thought in the way that the student was trained for, as `solve`
does: the same paths, the same ends. `TextScript` is for models without a task: it continues a
prompt. Both can say at any token what the text is so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from smallsteps.generation.draft import ChainDraft
from smallsteps.generation.generator import NO_CAP, Decoding, Reply, Request
from smallsteps.generation.paths import (
    PathOptions,
    SegmentTurn,
    SolveSettings,
    WholePath,
    open_segment,
    path_of,
)
from smallsteps.records import Kind, Problem, Stopped
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.tasks.base import STOP_TOKEN, Task

QUESTION = "question"
"""The id of every question, as in `smallsteps solve`: a drawn reply depends on it."""

MAX_TEXT_TOKENS = 1024
"""New tokens of a model without a task where the request sets no limit."""

Segments = list[tuple[Kind | None, str]]
"""(kind, text) in order; kind None: the student does not say."""


class Script(Protocol):
    """How one choice is written. The engine's requests are made here and nowhere else."""

    by_segment: bool
    """Whether the text comes in segments."""
    strips: bool
    """Whether white space around the text and its segments is taken off."""

    @property
    def stopped(self) -> Stopped | None:
        """Why the text ended; None: it goes on, or was ended from outside."""
        ...

    def first(self) -> SegmentTurn:
        """The first request. Raises DataError where the student cannot read that much."""
        ...

    def following(self, reply: Reply) -> SegmentTurn | None:
        """Takes a finished reply; the next request, None at the end."""
        ...

    def writer(self, turn: SegmentTurn) -> Student:
        """Who answers the request."""
        ...

    def segments(self, turn: SegmentTurn | None = None, ids: Sequence[int] = ()) -> Segments:
        """What is written so far: the finished segments, and the one under way (`turn`, `ids`)."""
        ...

    def join(self, texts: Sequence[str]) -> str:
        """Texts of segments as one text."""
        ...

    def answer(self, text: str) -> str | None:
        """The answer that `text` ends on; None: there is none, or nobody knows how to read it."""
        ...


class ChainScript:
    """A chain of thought for a question."""

    strips = True

    def __init__(
        self,
        student: Student | DualStudent,
        task: Task,
        settings: SolveSettings,
        decoding: Decoding,
        question: str,
        sample: int,
        on_segment: Callable[[], None],
    ) -> None:
        """`on_segment` is called after each segment, once `segments` has it."""
        if student.drive is not None and student.drive.max_segments is not None:
            task = replace(task, max_segments=student.drive.max_segments)
        self.task, self.settings = task, settings
        options = PathOptions(task, settings, decoding, lambda *_: on_segment())
        self.path = path_of(student, options)
        self.draft = ChainDraft(Problem(QUESTION, question.strip()), sample)
        self.by_markers = isinstance(self.path, WholePath) and self.path.by_segment
        self.by_segment = self.by_markers or not isinstance(self.path, WholePath)

    @property
    def stopped(self) -> Stopped | None:
        return self.draft.stopped

    def first(self) -> SegmentTurn:
        return self.path.first(self.draft)

    def following(self, reply: Reply) -> SegmentTurn | None:
        return self.path.following(self.draft, reply)

    def writer(self, turn: SegmentTurn) -> Student:
        return self.path.students[turn.writer]

    def segments(self, turn: SegmentTurn | None = None, ids: Sequence[int] = ()) -> Segments:
        texts = [(kind, self._bare(text)) for kind, text in self.draft.segments]
        if turn is not None and not self.draft.stopped:
            student, kind, start = self.writer(turn), None, 0
            if self.by_markers:
                kind, start = open_segment(ids, student)
            elif self.by_segment and (len(self.path.students) == 2 or _has_cue(student)):
                kind = self.draft.next_kind()
            texts.append((kind, self._bare(student.text(ids[start:]))))
        return [(kind, text) for kind, text in texts if text]

    @staticmethod
    def _bare(text: str) -> str:
        return text.replace(STOP_TOKEN, "").strip()

    def join(self, texts: Sequence[str]) -> str:
        return self.task.joiner.join(texts)

    def answer(self, text: str) -> str | None:
        return self.task.extract(text, self.settings.lenient, self.draft.problem)


def _has_cue(student: Student) -> bool:
    return student.drive is not None and student.drive.cue


class TextScript:
    """The continuation of a prompt, by a model without a task."""

    by_segment = strips = False

    def __init__(
        self,
        student: Student,
        prompt: Sequence[int],
        decoding: Decoding,
        sample: int,
        limit: int | None = None,
    ) -> None:
        """`limit`: tokens that a student without a limit of its own may read."""
        self.student, self.prompt, self.sample = student, list(prompt), sample
        self.decoding, self.limit = decoding, limit
        self.text = ""
        self.stopped: Stopped | None = None

    def first(self) -> SegmentTurn:
        student = self.student
        student.require_room(self.prompt, "the prompt", new_tokens=1, limit=self.limit)
        tokens = self.decoding.max_new_tokens
        tokens = MAX_TEXT_TOKENS if tokens == NO_CAP else tokens
        room = student.max_source_tokens or self.limit
        if student.architecture == "causal" and room is not None:
            tokens = min(tokens, room - len(self.prompt))
        elif student.architecture != "causal":
            tokens = min(tokens, MAX_TEXT_TOKENS)  # a T5's caches are as long as the longest reply
        request = Request(QUESTION, self.prompt, first_sample=self.sample, max_new_tokens=tokens)
        return SegmentTurn("ES", request)

    def following(self, reply: Reply) -> None:
        self.text = reply.text
        self.stopped = "end" if reply.finished == "end" else "limit"

    def writer(self, turn: SegmentTurn) -> Student:
        return self.student

    def segments(self, turn: SegmentTurn | None = None, ids: Sequence[int] = ()) -> Segments:
        text = self.text if turn is None or self.stopped else self.student.text(ids)
        return [(None, text)] if text else []

    def join(self, texts: Sequence[str]) -> str:
        return "".join(texts)

    def answer(self, text: str) -> str | None:
        return None
