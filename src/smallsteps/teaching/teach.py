"""Asks a teacher for rationales and filters its replies.

A lesson whose reply was dropped is asked again, a bounded number of times. Every reply is returned,
kept or dropped, with the reason (`filtering.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from smallsteps.faults import names_faults
from smallsteps.tasks.base import Task
from smallsteps.teaching.filtering import FilteredReply, filter_reply
from smallsteps.teaching.lessons import Lesson, Teacher

Progress = Callable[[int, int], None]
"""Called with (replies so far, replies of this turn)."""


@names_faults
def teach(
    lessons: Sequence[Lesson],
    teacher: Teacher,
    task: Task,
    retries: int = 0,
    progress: Progress | None = None,
) -> list[FilteredReply]:
    """The filtered replies to all lessons, in the order of the lessons. A lesson whose reply was
    dropped is asked again, with a new sample number, at most `retries` times."""
    replies_by_lesson: dict[str, list[FilteredReply]] = {lesson.id: [] for lesson in lessons}
    samples = 1 + max((lesson.sample for lesson in lessons), default=0)
    pending = list(lessons)
    for turn in range(1 + retries):
        attempts = [retry_of(lesson, turn, samples) for lesson in pending]
        original_id = {
            attempt.id: lesson.id for attempt, lesson in zip(attempts, pending, strict=True)
        }
        for done, reply in enumerate(teacher.explain(attempts), 1):
            replies_by_lesson[original_id[reply.lesson.id]].append(filter_reply(reply, task))
            if progress:
                progress(done, len(attempts))
        pending = [lesson for lesson in pending if replies_by_lesson[lesson.id][-1].dropped]
        if not pending:
            break
    return [reply for lesson in lessons for reply in replies_by_lesson[lesson.id]]


def retry_of(lesson: Lesson, turn: int, samples: int) -> Lesson:
    """The lesson as asked in turn `turn` (0: the first), with a sample number that no other request
    for it has."""
    if turn == 0:
        return lesson
    sample = lesson.sample + turn * samples
    return replace(lesson, id=f"{lesson.id}~{turn}", sample=sample, turn=turn)
