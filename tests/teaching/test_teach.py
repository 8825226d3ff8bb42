"""Asking a teacher: order, retries and sample numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.lessons import Lesson, TeacherReply, lessons_for
from smallsteps.teaching.teach import retry_of, teach

TASK = get_task("numbers")
PROBLEMS = [Problem(name, f"{name}?", "7") for name in "abc"]


@dataclass
class Script:
    """A teacher with fixed texts for each problem: the first is its first reply, and so on. The
    last one is repeated; None is no reply."""

    texts: dict[str, list[str | None]]
    name: str = "script"
    lessons: list[Lesson] = field(default_factory=list)
    """All lessons so far."""

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        return "0 calls"

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        for lesson in reversed(lessons):  # replies may come in any order
            turn = sum(earlier.problem.id == lesson.problem.id for earlier in self.lessons)
            self.lessons.append(lesson)
            texts = self.texts[lesson.problem.id]
            text = texts[min(turn, len(texts) - 1)]
            yield TeacherReply(lesson, text, "" if text else "status 500")


def test_rows_come_in_the_order_of_the_questions_with_every_reply_kept_or_dropped() -> None:
    good, bad = "3 + 4 = 7. The answer is 7.", "The answer is 9."
    teacher = Script({"a": [bad, bad, good], "b": [good], "c": [bad]})
    replies = teach(lessons_for(PROBLEMS), teacher, TASK, retries=2)
    assert [(reply.lesson.problem.id, reply.dropped is None) for reply in replies] == [
        ("a", False),
        ("a", False),
        ("a", True),
        ("b", True),
        ("c", False),
        ("c", False),
        ("c", False),
    ]
    assert len(teacher.lessons) == 7, "b was right at once, c was dropped after two retries"


def test_every_request_for_a_problem_has_another_sample_number() -> None:
    teacher = Script({name: ["The answer is 9."] for name in "abc"})
    teach(lessons_for(PROBLEMS, samples=3), teacher, TASK, retries=2)
    numbers = [lesson.sample for lesson in teacher.lessons if lesson.problem.id == "a"]
    assert sorted(numbers) == list(range(9)), "else the store would return the same reply"
    assert len({lesson.id for lesson in teacher.lessons}) == 27


def test_the_first_turn_asks_the_lesson_itself() -> None:
    lesson = Lesson("a/1", PROBLEMS[0], sample=1)
    assert retry_of(lesson, 0, 2) is lesson
    again = retry_of(lesson, 2, 2)
    assert (again.id, again.sample, again.problem) == ("a/1~2", 5, PROBLEMS[0])
