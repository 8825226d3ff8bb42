"""Rationales of the small model, and the answers that come of them: the records of LM-guided chain
of thought, and how several rationales of each question become one list and groups again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from smallsteps.methods.guided.reader import ReadFrom
from smallsteps.records import Prediction, Problem, Record

Item = TypeVar("Item")


@dataclass(frozen=True)
class WrittenRationale(Record):
    """A rationale of M_S, or what a control puts in its place."""

    text: str
    tokens: int = 0
    """Read and written by M_S."""
    finished: bool = True
    """Whether M_S ended it; False: it ran into the limit."""


@dataclass(frozen=True)
class GuidedAnswer(Record):
    """An arm's answer to one problem, and what it cost."""

    problem_id: str
    answer: str | None
    """None: no answer could be read."""
    rationale: str | None
    """What the answer rests on; None: nothing."""
    read_from: ReadFrom
    small_tokens: int
    """Read and written by M_S."""
    large_tokens: int
    """Read and written by M_L."""
    small_seconds: float = 0.0
    large_seconds: float = 0.0


def predictions_of(answers: Sequence[GuidedAnswer]) -> list[Prediction]:
    """The answers in the form that `grade` reads."""
    return [
        Prediction(
            id=f"{answer.problem_id}/answer",
            problem_id=answer.problem_id,
            text=answer.rationale or "",
            segments=((None, answer.rationale or ""),),
            answer=answer.answer,
            stopped="end",
            tokens=answer.small_tokens + answer.large_tokens,
            seconds=answer.small_seconds + answer.large_seconds,
        )
        for answer in answers
    ]


def flatten(
    problems: Sequence[Problem], samples: Sequence[Sequence[WrittenRationale]]
) -> tuple[list[Problem], list[WrittenRationale]]:
    """(problem of each rationale, rationale): all rationales in one list, problem after problem."""
    repeated: list[Problem] = []
    rationales: list[WrittenRationale] = []
    for problem, written in zip(problems, samples, strict=True):
        repeated += [problem] * len(written)
        rationales += written
    return repeated, rationales


def regroup(items: Sequence[Item], groups: Sequence[Sequence[object]]) -> list[list[Item]]:
    """`items` cut into groups of the sizes of `groups`, in order.

    >>> regroup([1, 2, 3], ["ab", "c"])
    [[1, 2], [3]]
    """
    if len(items) != sum(len(group) for group in groups):
        raise ValueError(f"{len(items)} items do not fill groups of {[len(g) for g in groups]}")
    regrouped: list[list[Item]] = []
    start = 0
    for group in groups:
        regrouped.append(list(items[start : start + len(group)]))
        start += len(group)
    return regrouped
