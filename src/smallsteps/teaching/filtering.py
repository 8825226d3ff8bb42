"""Decides whether a teacher's reply is kept, and why not.

A reply is dropped where

- nothing came, or it was cut off;
- its text is damaged: U+FFFD stands where a character could not be decoded;
- no answer can be read from its end, or the answer is not the gold one (where there is a gold one);
- it mentions what its writer was shown (the hint, the learner's attempt): a student that reads such
  text learns to mention hints.

Other closings that teachers use (`#### 72`) are read and rewritten as the task's closing sentence.
The same holds for the answer of a file's row without a closing: `predicted`, which its writer ended
on, else what the text ends in.

Source: tailored learning, "keep those whose answer is right" (Wang et al. 2023). The check for
mentions of the prompt and the records of dropped replies are ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, normalise
from smallsteps.tasks.clean import without_control_tokens
from smallsteps.tasks.closings import denies, lenient_tail, without_mark
from smallsteps.tasks.sentences import last_sentence
from smallsteps.teaching.lessons import Lesson, TeacherReply

PROMPT_MENTIONS = (
    r"\b(the|your|this|that|learner's|student's) "
    r"(attempt|mistake|error|wrong (answer|solution|step))\b",
    r"\b(the )?(learner|student) (wrote|says|said|made|forgot|thought|should)\b",
    r"\b(given|provided|stated|known|hinted) (right |correct |gold )?(answer|hint)\b",
    r"\b(right|correct|gold) answer (was|is) (given|known|provided|stated)\b",
    r"\baccording to the hint\b",
    r"\bas (a|the) hint\b",
)
"""Regular expressions, case-insensitive, of a rationale that mentions the prompt."""
UNREADABLE_CHARACTER = "\N{REPLACEMENT CHARACTER}"
NO_ANSWER = "no answer can be read from its end"
WRONG_ANSWER = "wrong answer"
_PROMPT_MENTION = re.compile("|".join(PROMPT_MENTIONS), re.IGNORECASE)


@dataclass(frozen=True)
class FilteredReply:
    """A teacher's reply, the answer read from it, and the reason where it was dropped."""

    lesson: Lesson
    rationale: str | None
    predicted: str | None
    """The answer that the rationale ends in; None: none can be read."""
    correct: bool | None
    """Whether it equals the gold answer; None: there is no gold answer."""
    dropped: str | None
    """Why the reply was dropped; None: it was kept."""
    tokens: int = 0

    def to_row(self) -> dict[str, Any]:
        """A row of `smallsteps teach`. Rows of kept replies can be read as chains."""
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


def filter_reply(reply: TeacherReply, task: Task) -> FilteredReply:
    """The reply with the answer read from it, kept or dropped."""
    problem = reply.lesson.problem
    if reply.text is None:
        return FilteredReply(reply.lesson, None, None, None, reply.reason, reply.tokens)
    text = without_control_tokens(reply.text)[0].strip()
    text, predicted = _closed_text(text, reply, task)
    correct = None if problem.answer is None else task.same(predicted, task.gold(problem))
    dropped = None
    if UNREADABLE_CHARACTER in text:
        dropped = "contains damaged characters"
    elif mention := prompt_mention(text):
        dropped = f"mentions the prompt: {mention!r}"
    elif task.closing is not None and predicted is None:
        dropped = NO_ANSWER
    elif correct is False:
        dropped = WRONG_ANSWER
    return FilteredReply(reply.lesson, text, predicted, correct, dropped, reply.tokens)


def prompt_mention(text: str) -> str | None:
    """The words with which `text` mentions what its writer was shown; None: there are none.

    >>> prompt_mention("Since the correct answer is given as 7, we add 3.")
    'correct answer is given'
    >>> prompt_mention("So she gives the student 3 pens.")
    """
    match = _PROMPT_MENTION.search(text)
    return match[0] if match else None


def _closed_text(text: str, reply: TeacherReply, task: Task) -> tuple[str, str | None]:
    """The text, ending in the task's closing sentence where an answer was found in another form,
    and that answer."""
    problem = reply.lesson.problem
    predicted = task.extract(text, False, problem)
    if predicted is not None or task.closing is None:
        return text, predicted
    if lenient_tail(text) is not None:  # "#### 72" or "\boxed{72}": students learn one closing only
        predicted = task.extract(text, True, problem)
        if predicted is not None:
            return task.close(without_mark(text), predicted, problem), predicted
    if reply.final:  # a thought has no closing; the text after it states the answer
        predicted = task.extract(reply.final, True, problem)
        if predicted is not None:
            return task.close(text, predicted, problem), predicted
    if reply.unprompted:
        predicted = _answer_beside(reply.predicted, task, problem)
        if predicted is None:
            predicted = _answer_without_closing(text, reply.answer, task, problem)
        if predicted is not None:
            return task.close(text, predicted, problem), predicted
    return text, None


def _answer_without_closing(
    text: str, answer_beside: str | None, task: Task, problem: Problem
) -> str | None:
    """The answer of a text whose writer was not asked for a closing sentence: by the lenient rule,
    else the one that came beside it. The text has priority, as the answer beside it may be the gold
    answer, copied from the questions."""
    answer = task.extract(text, True, problem)
    if answer is not None:
        is_whole_sentence = not problem.choices and _is_last_sentence(answer, text)
        is_gold = problem.answer is not None and task.same(answer, task.gold(problem))
        if is_gold or not is_whole_sentence:
            return answer
    is_closed = (
        closing_tail(text, task.closing_pattern or "") is not None or lenient_tail(text) is not None
    )
    if is_closed or denies(text):  # "The answer is not 7." has no answer
        return None
    return _answer_beside(answer_beside, task, problem)


def _answer_beside(answer: str | None, task: Task, problem: Problem) -> str | None:
    """An answer that stands beside a text, as the task reads it; None: there is none."""
    if answer is None:
        return None
    closed = task.close("", answer, problem)
    return task.closing_answer(closed, problem) or task.extract(answer, True, problem)


def _is_last_sentence(answer: str, text: str) -> bool:
    """Whether the answer is the whole last sentence, as tasks of free text read it."""
    words = normalise(answer)
    return len(words.split()) > 1 and words == normalise(last_sentence(text))
