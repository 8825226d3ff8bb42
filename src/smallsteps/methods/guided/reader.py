"""The reader: a large frozen model that answers a question, with a rationale or without (Lee et al.
2024, M_L).

It is a `Generator`, as teachers are: an OpenAI-compatible endpoint or a folder. Its replies are
stored, so that no (question, rationale, prompt) is paid twice. Only its text is needed; it decodes
greedily and few tokens.

An answer is read from the first of these places, which is counted:

    prediction   what follows the last "Prediction:"
    closing      what follows "the answer is" in the last sentence; else in the first one, where the
                 reply begins with it and goes on to explain
    direct       the reply's first line, where the prompt itself ends in a colon ("Prediction:")
    second       a second reply: the reader gets its own reply and "Prediction:"
    none         nowhere: no answer, which is wrong; so is an empty or refused reply

A reply that did not come (a limit, the network) is different: it ends the job, which can continue
later."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from smallsteps.errors import RecipeError, TeacherError
from smallsteps.faults import names_faults
from smallsteps.generation.generator import (
    ChatGenerator,
    Decoding,
    Messages,
    Reply,
    Request,
    check_all_came,
)
from smallsteps.records import Problem
from smallsteps.tasks.base import ANSWER_IS, Task, closing_tail
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.free_text import DENIED
from smallsteps.tasks.sentences import sentences
from smallsteps.teaching.prompts import Prompt, read_prompt

ReadFrom = Literal["prediction", "closing", "direct", "second", "none"]
"""The place in a reply from which an answer was read."""

_OPENING = r"\W*(?:(?:so|thus|therefore|the|correct|final)\W+)*"
_PREDICTION = re.compile(r"\bprediction\s*:", re.IGNORECASE)
MARK = "Prediction:"

AnswerKey = tuple[int, int]
"""(number of the question, sample)"""


@dataclass(frozen=True)
class ReaderQuestion:
    """A question to the reader."""

    problem: Problem
    rationale: str | None = None
    """None: without a rationale."""


@dataclass(frozen=True)
class ReaderAnswer:
    """The reader's reply to a question, and the answer read from it."""

    problem_id: str
    answer: str | None
    read_from: ReadFrom
    text: str
    tokens: int = 0
    """Read and written."""
    error: str | None = None
    """Why no reply came."""


@dataclass(frozen=True)
class Reader:
    """A model with the prompts by which it is asked."""

    name: str
    generator: ChatGenerator
    task: Task
    guided: Prompt = field(default_factory=lambda: read_prompt("read"))
    """Prompt with a rationale."""
    standard: Prompt = field(default_factory=lambda: read_prompt("standard"))
    """Prompt without one."""
    cot: Prompt = field(default_factory=lambda: read_prompt("cot"))
    """Prompt for reasoning and prediction in one go."""
    decoding: Decoding = field(default_factory=lambda: Decoding(max_new_tokens=32))

    @names_faults
    def answers(
        self,
        questions: Sequence[ReaderQuestion],
        prompt: Prompt | None = None,
        decoding: Decoding | None = None,
        samples: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[ReaderAnswer]]:
        """`samples` answers to each question, in order. `prompt`: another than `guided` (with a
        rationale) or `standard`.

        Raises TeacherError where replies did not come; those that came are stored."""
        messages = [self.messages(question, prompt) for question in questions]
        requests = [Request(str(number), text, samples) for number, text in enumerate(messages)]
        answers: dict[AnswerKey, ReaderAnswer] = {}
        second_requests: dict[AnswerKey, Messages] = {}
        for reply in self.generator.generate(requests, decoding or self.decoding, progress):
            number = int(reply.id)
            key = number, reply.sample
            prompt_messages = messages[number]
            ends_open = prompt_messages[-1][1].rstrip().endswith(":")
            answers[key] = answer = self._answer(questions[number].problem, reply, ends_open)
            if answer.read_from == "none" and answer.text.strip():
                conversation = (("assistant", reply.text), ("user", MARK))
                second_requests[key] = (*prompt_messages, *conversation)
        self._ask_again(second_requests, answers, questions)
        check_all_came("reader", self.name, [answer.error for answer in answers.values()])
        return [
            [answers[number, sample] for sample in range(samples)]
            for number in range(len(questions))
        ]

    def first_answers(
        self,
        questions: Sequence[ReaderQuestion],
        prompt: Prompt | None = None,
        decoding: Decoding | None = None,
    ) -> list[ReaderAnswer]:
        """One answer to each question, in order; otherwise as `answers`."""
        return [answers[0] for answers in self.answers(questions, prompt, decoding)]

    def forecast(
        self,
        questions: Sequence[ReaderQuestion],
        prompt: Prompt | None = None,
        decoding: Decoding | None = None,
    ) -> str:
        """One line on the possible cost. Raises RecipeError where a key is needed and missing."""
        requests = (
            Request(str(number), self.messages(question, prompt))
            for number, question in enumerate(questions)
        )
        return self.generator.forecast(requests, decoding or self.decoding)

    def messages(self, question: ReaderQuestion, prompt: Prompt | None = None) -> Messages:
        """The messages of a question, with its rationale where it has one."""
        default = self.standard if question.rationale is None else self.guided
        chosen = prompt or default
        return chosen.render(self.task, question.problem, reasoning=question.rationale)

    def is_right(self, answer: ReaderAnswer, problem: Problem) -> bool:
        """Whether the answer is a gold answer of its problem."""
        return any(self.task.same(answer.answer, gold) for gold in self.task.golds(problem))

    def _answer(self, problem: Problem, reply: Reply, ends_open: bool) -> ReaderAnswer:
        cost = reply.read + reply.tokens
        if reply.finished == "failed":
            return ReaderAnswer(problem.id, None, "none", "", cost, reply.error or "no reply")
        answer, read_from = self._read_off(problem, reply.text, ends_open)
        return ReaderAnswer(problem.id, answer, read_from, reply.text, cost)

    def _read_off(
        self, problem: Problem, text: str, ends_open: bool
    ) -> tuple[str | None, ReadFrom]:
        """`read_off`. For a multiple-choice question, the option that the reply names, for example
        by its letter "(B)"."""
        answer, read_from = read_off(text, ends_open)
        if answer is None or not problem.choices:
            return answer, read_from
        option = self.task.extract(self.task.close("", answer), True, problem)
        return option or answer, read_from

    def _ask_again(
        self,
        second_requests: dict[AnswerKey, Messages],
        answers: dict[AnswerKey, ReaderAnswer],
        questions: Sequence[ReaderQuestion],
    ) -> None:
        """A second call, greedy, for replies without a readable answer. Updates `answers`."""
        if not second_requests:
            return
        keys = list(second_requests)
        requests = [Request(str(place), second_requests[key]) for place, key in enumerate(keys)]
        decoding = Decoding(max_new_tokens=self.decoding.max_new_tokens)
        for reply in self.generator.generate(requests, decoding):
            key = keys[int(reply.id)]
            first = answers[key]
            if reply.finished == "failed":
                answers[key] = replace(first, error=reply.error or "no reply")
                continue
            answer, _ = self._read_off(questions[key[0]].problem, reply.text, ends_open=True)
            answers[key] = replace(
                first,
                answer=answer,
                read_from="second" if answer else "none",
                tokens=first.tokens + reply.read + reply.tokens,
            )


def check_task(task: Task) -> None:
    """Raises RecipeError for a task whose answers are whole texts (reports): no reader names them
    in a line."""
    if task.closing is None:
        raise RecipeError(
            f"task {task.name!r}: its answers are whole texts, measured by {task.metric}, and not "
            "right or wrong. A reader cannot give them. Name a task with short answers, such as "
            "hotpotqa, numbers or text."
        )


def nothing_read(reader: Reader, count: int) -> TeacherError:
    """The error where no reply of a reader holds an answer."""
    return TeacherError(
        f"reader {reader.name!r}: not one of {count:,} replies could be read. Look at its reply to "
        "one question. Name another prompt, or allow more tokens: an answer follows "
        '"Prediction:" or "the answer is".'
    )


def read_off(text: str, ends_open: bool) -> tuple[str | None, ReadFrom]:
    """(answer, the place from which it was read) of a reply. `ends_open`: its prompt ended in a
    colon.

    >>> read_off("Ann lives in Rome. Prediction: Italy.", ends_open=False)
    ('Italy', 'prediction')
    >>> read_off("Italy\\nIt is.", ends_open=True)
    ('Italy', 'direct')
    >>> read_off("Well.", ends_open=False)
    (None, 'none')
    >>> read_off("The answer is no. Both lie in Rome.", ends_open=False)
    ('no', 'closing')
    """
    text = reply_text(text)  # without thoughts: what stands in a thought is no answer
    marks = list(_PREDICTION.finditer(text))
    if marks:
        prediction = _first_line(text[marks[-1].end() :])
        return prediction, "prediction" if prediction else "none"
    closing = (closing_tail(text) or _opening_tail(text) or "").rstrip(" .")
    if closing and not DENIED.match(closing):
        return closing, "closing"
    if ends_open and (line := _first_line(text)):
        return line, "direct"
    return None, "none"


def _opening_tail(text: str) -> str | None:
    """What follows "The answer is" in the first sentence of a reply that begins with it."""
    begins = re.match(rf"{_OPENING}(?:{ANSWER_IS})", text, re.IGNORECASE)
    return closing_tail(sentences(text)[0]) if begins else None


def _first_line(text: str) -> str | None:
    """The first line with text, without quotes and full stops around it; None: there is none."""
    lines = (line.strip().strip("\"'“”*").rstrip(" .") for line in text.strip().splitlines())
    return next((line for line in lines if line), None)


def majority(
    answers: Sequence[ReaderAnswer], same: Callable[[str | None, str | None], bool]
) -> ReaderAnswer:
    """The answer that most of `answers` give (self-consistency), the first of equals, at the cost
    of all. A reply without an answer has no vote."""
    candidates: list[ReaderAnswer] = []
    votes: list[int] = []
    for answer in answers:
        for number, candidate in enumerate(candidates):
            if same(answer.answer, candidate.answer):
                votes[number] += 1
                break
        else:
            if answer.answer is not None:
                candidates.append(answer)
                votes.append(1)
    if not candidates:
        return answers[0]
    winner = candidates[votes.index(max(votes))]
    return replace(winner, tokens=sum(answer.tokens for answer in answers))
