"""Teaching: ask for rationales, keep those whose answer is right, ask again a bounded number of
times, record the rest.

Every reply becomes a row, kept or dropped, with its reason; nothing is dropped in silence. A
rationale is dropped where

- nothing came, or it was cut off;
- it holds characters that are no text (half a character, bytes that are no UTF-8): U+FFFD stands in their place;
- no answer can be read from its end, or the answer is not the gold one (where there is a gold one); a closing of the
  teacher's own, `#### 72`, is read and becomes the task's; so does the answer of a file's row that has no closing;
- it speaks of what it was shown (the hint, the learner's attempt): a student that reads this learns to speak of hints.

Source: tailored learning, "keep those whose answer is right" (Wang et al. 2023); the leak check and
the records are ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smallsteps.generation.budget import NOT_ASKED
from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, last_sentence, normalise
from smallsteps.tasks.clean import without_control_tokens
from smallsteps.tasks.closings import denies, lenient_tail, without_mark
from smallsteps.teaching.teachers import CUT_OFF, Lesson, Taught, Teacher

LEAKS = (
    r"\b(the|your|this|that|learner's|student's) (attempt|mistake|error|wrong (answer|solution|step))\b",
    r"\b(the )?(learner|student) (wrote|says|said|made|forgot|thought|should)\b",
    r"\b(given|provided|stated|known|hinted) (right |correct |gold )?(answer|hint)\b",
    r"\b(right|correct|gold) answer (was|is) (given|known|provided|stated)\b",
    r"\baccording to the hint\b",
    r"\bas (a|the) hint\b",
)
"""Regular expressions, case-insensitive, of a rationale that speaks of the prompt."""
UNREADABLE_CHARACTER = "\N{REPLACEMENT CHARACTER}"
NO_ANSWER = "no answer can be read from its end"
WRONG_ANSWER = "wrong answer"
_LEAK = re.compile("|".join(LEAKS), re.IGNORECASE)


@dataclass(frozen=True)
class Lessoned:
    """One reply and its fate."""

    lesson: Lesson
    rationale: str | None
    predicted: str | None
    """The answer that the rationale ends in; None: none can be read."""
    correct: bool | None
    """Whether it equals the gold answer; None: there is no gold answer."""
    dropped: str | None
    """Why it is not kept; None: it is."""
    tokens: int = 0

    def to_row(self) -> dict[str, Any]:
        """As `smallsteps teach` writes it; readable as a chain where it is kept."""
        problem = self.lesson.problem
        row: dict[str, Any] = {
            "id": problem.id,
            "question": problem.question,
            "answer": problem.answer,
            "rationale": self.rationale,
            "predicted": self.predicted,
            "correct": self.correct,
        }
        if self.lesson.sample:
            row["sample"] = self.lesson.sample
        if self.dropped:
            row["dropped"] = self.dropped
        return row


Progress = Callable[[int, int], None]
"""Called with (replies so far, replies in all)."""


def leak(text: str) -> str | None:
    """The words with which `text` speaks of what its writer was shown.

    >>> leak("Since the correct answer is given as 7, we add 3."), leak("So she gives the student 3 pens.")
    ('correct answer is given', None)
    """
    found = _LEAK.search(text)
    return found[0] if found else None


def judge(taught: Taught, task: Task) -> Lessoned:
    """The fate of one reply."""
    problem = taught.lesson.problem
    if taught.text is None:
        return Lessoned(taught.lesson, None, None, None, taught.reason, taught.tokens)
    text = without_control_tokens(taught.text)[0].strip()
    predicted = task.extract(text, False, problem)
    if predicted is None and task.closing is not None and lenient_tail(text) is not None:
        predicted = task.extract(text, True, problem)
        if (
            predicted is not None
        ):  # "#### 72", "\\boxed{72}": a closing, which students are to write in one way
            text = task.close(without_mark(text), predicted, problem)
    if predicted is None and task.closing is not None and taught.final:
        predicted = task.extract(taught.final, True, problem)
        if (
            predicted is not None
        ):  # a thought ends without a closing; what follows it says what it came to
            text = task.close(text, predicted, problem)
    if predicted is None and task.closing is not None and taught.unprompted:
        predicted = _unclosed_answer(text, taught.answer, task, problem)
        if predicted is not None:
            text = task.close(text, predicted, problem)
    correct = None if problem.answer is None else task.same(predicted, task.gold(problem))
    dropped = None
    if UNREADABLE_CHARACTER in text:
        dropped = "holds characters that are no text"
    elif words := leak(text):
        dropped = f"speaks of what it was shown: {words!r}"
    elif task.closing is not None and predicted is None:
        dropped = NO_ANSWER
    elif correct is False:
        dropped = WRONG_ANSWER
    return Lessoned(taught.lesson, text, predicted, correct, dropped, taught.tokens)


def _unclosed_answer(text: str, beside: str | None, task: Task, problem: Problem) -> str | None:
    """The answer of a text whose writer was not told how to close: by the lenient rule, else the
    one that came beside it. What the text says goes first, as `beside` may be the gold answer,
    copied from the questions."""
    said = task.extract(text, True, problem)
    if said is not None and not (_is_sentence(said, text) and not problem.choices):
        return said
    if said is not None and problem.answer is not None and task.same(said, task.gold(problem)):
        return said
    closed = (
        closing_tail(text, task.closing_pattern or "") is not None or lenient_tail(text) is not None
    )
    if beside is None or closed or denies(text):  # "The answer is not 7." holds no answer
        return None
    return task.closing_answer(task.close("", beside, problem), problem) or task.extract(
        beside, True, problem
    )


def _is_sentence(said: str, text: str) -> bool:
    """Whether all of the last sentence was taken for the answer, as tasks of free text do."""
    words = normalise(said)
    return len(words.split()) > 1 and words == normalise(last_sentence(text))


def teach(
    lessons: Sequence[Lesson],
    teacher: Teacher,
    task: Task,
    retries: int = 0,
    progress: Progress | None = None,
) -> list[Lessoned]:
    """The replies to all lessons with their fates, in the order of the lessons; a lesson whose
    reply was dropped is asked again, with a new sample number, at most `retries` times. `progress`
    is told of each asking."""
    found: dict[str, list[Lessoned]] = {lesson.id: [] for lesson in lessons}
    samples = 1 + max((lesson.sample for lesson in lessons), default=0)
    waiting = list(lessons)
    for turn in range(1 + retries):
        origin = {again(lesson, turn, samples).id: lesson for lesson in waiting}
        asked = [again(lesson, turn, samples) for lesson in waiting]
        for done, taught in enumerate(teacher.explain(asked), 1):
            found[origin[taught.lesson.id].id].append(judge(taught, task))
            if progress:
                progress(done, len(asked))
        waiting = [lesson for lesson in waiting if found[lesson.id][-1].dropped]
        if not waiting:
            break
    return [one for lesson in lessons for one in found[lesson.id]]


def again(lesson: Lesson, turn: int, samples: int) -> Lesson:
    """The lesson as it is asked the `turn`-th time: with a sample number that no other asking of it
    has."""
    return (
        lesson
        if not turn
        else replace(lesson, id=f"{lesson.id}~{turn}", sample=lesson.sample + turn * samples)
    )


def lessons_of(problems: Sequence[Problem], samples: int = 1) -> list[Lesson]:
    """Each problem `samples` times, without attempts."""
    return [Lesson(f"{p.id}/{n}", p, sample=n) for p in problems for n in range(samples)]


def nothing_came(taught: Sequence[Lessoned]) -> str | None:
    """Why there is no reply at all, where the teacher gave none; None: some came, cut off or not,
    or a limit of the user's kept all from being asked."""
    reasons = [reply.dropped or "" for reply in taught if reply.rationale is None]
    failures = [reason for reason in reasons if not reason.startswith(NOT_ASKED)]
    if len(reasons) < len(taught) or any(reason.startswith(CUT_OFF) for reason in failures):
        return None
    return failures[0] if failures else None


def nothing_kept(taught: Sequence[Lessoned], task: Task) -> str | None:
    """What to do where replies came and all were dropped for one reason; None: some were kept, or
    reasons differ."""
    replies = [reply for reply in taught if reply.rationale is not None]
    reasons = {str(reply.dropped).split(":")[0] for reply in replies}
    if len(reasons) != 1 or any(reply.dropped is None for reply in taught):
        return None
    reason = reasons.pop()
    line = f"nothing was kept: all {len(replies):,} replies were dropped for one reason: {reason}."
    if reason in (NO_ANSWER, WRONG_ANSWER) and task.closing is not None:
        closing = task.closing.format(answer="N")
        line += rf" The answer is read from the end of a reply: end each in {closing!r}, #### N or \boxed{{N}}."
    return line


def summary(taught: Sequence[Lessoned]) -> Iterator[str]:
    """How many replies were kept, and why the others were not, in lines."""
    kept = sum(one.dropped is None for one in taught)
    came = [
        one
        for one in taught
        if one.rationale is not None or (one.dropped or "").startswith(CUT_OFF)
    ]
    without = len(
        {one.lesson.problem.id for one in taught} - {one.lesson.problem.id for one in came}
    )
    rest = f", {without:,} question{'s' if without > 1 else ''} without one" if without else ""
    yield f"{kept:,} of {len(came):,} replies kept{rest}"
    if taught and all(one.lesson.problem.answer is None for one in taught):
        yield "no gold answers: replies cannot be filtered by answer, and every one that ends in an answer is kept"
    reasons: dict[str, int] = {}
    for one in taught:
        if one.dropped:
            # a limit is told with its amount: the user set it, and can raise it
            limited = one.dropped.startswith(NOT_ASKED)
            reason = one.dropped if limited else one.dropped.split(":")[0]
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        yield f"  dropped {count:,}: {reason}"
