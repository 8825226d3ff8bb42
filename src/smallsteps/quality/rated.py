"""What is scored: a rationale with its question and context, and the rationales that it is compared
with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks.base import ANSWER_IS, Task
from smallsteps.tasks.sentences import sentences


@dataclass(frozen=True)
class Rated:
    """A rationale to be scored, with what it speaks about."""

    id: str
    question: str
    context: tuple[str, ...]
    """Sentences; empty where the question has no context."""
    text: str
    rendered: str = ""
    """What a student reads before it writes the rationale; for fluency."""

    @classmethod
    def of(cls, problem: Problem, text: str, task: Task | None = None) -> Rated:
        """The rationale `text` about `problem`. Raises DataError where `task` needs a context and
        the problem has none."""
        context = tuple(
            sentence
            if title.lower() in sentence.lower()
            else f"{title}: {sentence}"  # "He was born ..." of whom?
            for title, paragraphs in problem.context
            for paragraph in paragraphs
            for sentence in sentences(paragraph)
        )
        rendered = task.render(problem) if task else problem.question
        return cls(problem.id, problem.question, context, text, rendered)

    @property
    def steps(self) -> list[str]:
        """The sentences of the rationale without the closing."""
        steps = sentences(self.text)
        if len(steps) > 1 and re.search(ANSWER_IS, steps[-1], re.IGNORECASE):
            return steps[:-1]
        return steps


@dataclass(frozen=True)
class References:
    """Rationales by people or a good teacher, as the lengths and likelihoods that others are
    measured against."""

    shortest: float
    """Words that 1 % of them have fewer of."""
    longest: float
    """Words that 1 % of them have more of."""
    mean: float = 0.0
    """Of the mean log-probability of their tokens under the student."""
    spread: float = 1.0
    """Standard deviation of the same."""

    @classmethod
    def of(cls, rationales: Sequence[str], likelihoods: Sequence[float] = ()) -> References:
        """Raises DataError where there are no rationales."""
        if not rationales:
            raise DataError("no reference rationales: the file is empty.")
        lengths = sorted(len(text.split()) for text in rationales)
        mean, spread = (fmean(likelihoods), pstdev(likelihoods)) if likelihoods else (0.0, 0.0)
        return cls(_quantile(lengths, 0.01), _quantile(lengths, 0.99), mean, spread or 1.0)


def _quantile(ordered: Sequence[int], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
