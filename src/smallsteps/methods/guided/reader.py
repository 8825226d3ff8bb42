"""The reader: a large frozen model that answers a question, with a rationale or without (Lee et al.
2024, M_L).

It is a `Generator`, as teachers are: an OpenAI-compatible endpoint or a folder, its replies kept in
the store of paid replies, so that no (question, rationale, prompt) is asked twice. Only its text is
needed. Greedy, few tokens.

How an answer is read off a reply: what follows the last "Prediction:"; else what follows "the
answer is"; else, where the prompt itself ends in a colon ("Prediction:"), the reply's first line;
else the reader is asked once more, with its own reply and "Prediction:". Which of them it was is
counted. What cannot be read off is no answer, which is wrong, and so is an empty or refused reply.
A reply that did not come (a limit, the network) is no answer to anything: it ends the job, which
can go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation.generator import LASTING, ChatGenerator, Decoding, Messages, Request
from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail
from smallsteps.tasks.clean import reply_text
from smallsteps.teaching.prompts import Prompt, read_prompt

Found = Literal["prediction", "closing", "direct", "second", "none"]
"""Where an answer was read off: after "Prediction:", after "the answer is", the first line, a
second reply, nowhere."""

_PREDICTION = re.compile(r"\bprediction\s*:", re.IGNORECASE)
MARK = "Prediction:"


@dataclass(frozen=True)
class Asked:
    """A question to the reader."""

    problem: Problem
    reasoning: str | None = None
    """None: without a rationale."""


@dataclass(frozen=True)
class Answered:
    """What the reader said."""

    problem_id: str
    answer: str | None
    found: Found
    text: str
    tokens: int = 0
    """Read and written."""
    error: str | None = None
    """Why no reply came."""


@dataclass(frozen=True)
class Reader:
    """Asks the model by prompts."""

    name: str
    generator: ChatGenerator
    task: Task
    guided: Prompt = field(default_factory=lambda: read_prompt("read"))
    standard: Prompt = field(default_factory=lambda: read_prompt("standard"))
    cot: Prompt = field(default_factory=lambda: read_prompt("cot"))
    decoding: Decoding = field(default_factory=lambda: Decoding(max_new_tokens=32))

    def answers(
        self,
        asked: Sequence[Asked],
        prompt: Prompt | None = None,
        decoding: Decoding | None = None,
        samples: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Answered]]:
        """`samples` answers to each, in order. `prompt`: another than `guided` (with a rationale)
        or `standard`.

        Raises TeacherError where replies did not come; those that came are stored.
        """
        how = decoding or self.decoding
        messages = [self.messages(one, prompt) for one in asked]
        requests = [Request(str(n), said, samples) for n, said in enumerate(messages)]
        found: dict[tuple[int, int], Answered] = {}
        again: dict[tuple[int, int], Messages] = {}
        for reply in self.generator.generate(requests, how, progress):
            n, problem = int(reply.id), asked[int(reply.id)].problem
            if reply.finished == "failed":
                cost, why = reply.read + reply.tokens, reply.error or "no reply"
                found[n, reply.sample] = Answered(problem.id, None, "none", "", cost, why)
                continue
            ends_open = messages[n][-1][1].rstrip().endswith(":")
            answer, where = self._read_off(problem, reply.text, ends_open)
            found[n, reply.sample] = Answered(
                problem.id, answer, where, reply.text, reply.read + reply.tokens
            )
            if where == "none" and reply.text.strip():
                again[n, reply.sample] = (*messages[n], ("assistant", reply.text), ("user", MARK))
        self._ask_again(again, found, [one.problem for one in asked])
        missing = [
            one.error for one in found.values() if one.error and not one.error.startswith(LASTING)
        ]
        if missing:
            raise TeacherError(
                f"reader {self.name!r}: {len(missing):,} of {len(found):,} replies did not come, first of all: {missing[0]}. Those "
                "that came are stored: with a higher limit, or when the server is back, the same command goes on from there."
            )
        return [[found[n, sample] for sample in range(samples)] for n in range(len(asked))]

    def forecast(
        self, asked: Sequence[Asked], prompt: Prompt | None = None, decoding: Decoding | None = None
    ) -> str:
        """What asking may cost, in a line. Raises RecipeError where it cannot be asked for want of
        a key."""
        requests = (Request(str(n), self.messages(one, prompt)) for n, one in enumerate(asked))
        return self.generator.forecast(requests, decoding or self.decoding)

    def messages(self, one: Asked, prompt: Prompt | None = None) -> Messages:
        """What the reader is asked."""
        chosen = prompt or (self.standard if one.reasoning is None else self.guided)
        return chosen.render(self.task, one.problem, reasoning=one.reasoning)

    def _read_off(self, problem: Problem, text: str, ends_open: bool) -> tuple[str | None, Found]:
        """`read_off`; of a multiple-choice question the option that the reply names, as "(B)" is
        one."""
        answer, where = read_off(text, ends_open)
        if answer is None or not problem.choices:
            return answer, where
        return self.task.extract(self.task.close("", answer), True, problem) or answer, where

    def _ask_again(
        self,
        asked: dict[tuple[int, int], Messages],
        found: dict[tuple[int, int], Answered],
        problems: Sequence[Problem],
    ) -> None:
        """A second call, greedy, for replies that nothing could be read off."""
        keys = list(asked)
        requests = [Request(str(place), asked[key]) for place, key in enumerate(keys)]
        if not requests:
            return
        for reply in self.generator.generate(
            requests, Decoding(max_new_tokens=self.decoding.max_new_tokens)
        ):
            key = keys[int(reply.id)]
            if reply.finished == "failed":
                found[key] = replace(found[key], error=reply.error or "no reply")
                continue
            problem = problems[key[0]]
            answer, _ = self._read_off(problem, reply.text, ends_open=True)
            cost = found[key].tokens + reply.read + reply.tokens
            found[key] = replace(
                found[key], answer=answer, found="second" if answer else "none", tokens=cost
            )


def check_task(task: Task) -> None:
    """Raises RecipeError for a task whose answers are whole texts (reports), which no reader names
    in a line."""
    if task.closing is None:
        raise RecipeError(
            f"task {task.name!r}: its answers are whole texts, measured by {task.metric} and not right or wrong, so that no "
            "reader can give them. Name a task with short answers, such as hotpotqa, numbers or text."
        )


def nothing_read(reader: Reader, count: int) -> TeacherError:
    """The error where no reply of a reader holds an answer."""
    return TeacherError(
        f"reader {reader.name!r}: not one of {count:,} replies could be read. Look at what it says to one question, name another "
        'prompt, or let it write more tokens: an answer follows "Prediction:" or "the answer is".'
    )


def read_off(text: str, ends_open: bool) -> tuple[str | None, Found]:
    """(answer, where it was found) of a reply; `ends_open`: its prompt ended in a colon.

    >>> read_off("Ann lives in Rome. Prediction: Italy.", False), read_off("Italy\\nIt is.", True), read_off("Well.", False)
    (('Italy', 'prediction'), ('Italy', 'direct'), (None, 'none'))
    """
    text = reply_text(text)  # what stands in a thought was considered, not said
    marks = list(_PREDICTION.finditer(text))
    if marks:
        return _first_line(text[marks[-1].end() :]), "prediction" if _first_line(
            text[marks[-1].end() :]
        ) else "none"
    said = closing_tail(text)
    if said and said.rstrip(" ."):
        return said.rstrip(" ."), "closing"
    if ends_open and (line := _first_line(text)):
        return line, "direct"
    return None, "none"


def _first_line(text: str) -> str | None:
    lines = (line.strip().strip("\"'“”*").rstrip(" .") for line in text.strip().splitlines())
    return next((line for line in lines if line), None)


def majority(
    answers: Sequence[Answered], same: Callable[[str | None, str | None], bool]
) -> Answered:
    """The answer that most of them give (self-consistency); of equals the one that came first. No
    answer has no vote."""
    votes: list[tuple[Answered, int]] = []
    for one in answers:
        for place, (held, count) in enumerate(votes):
            if same(one.answer, held.answer):
                votes[place] = (held, count + 1)
                break
        else:
            if one.answer is not None:
                votes.append((one, 1))
    if not votes:
        return answers[0]
    best = max(count for _, count in votes)
    won = next(held for held, count in votes if count == best)
    return replace(won, tokens=sum(one.tokens for one in answers))
