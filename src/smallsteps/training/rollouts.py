"""Rollouts: what a student writes for a prompt during reinforcement learning, and their rewards.

Rollouts of the same prompt are a group; an estimator compares the rewards within a group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from smallsteps.students.student import Student
from smallsteps.training.batches import Batch, Encoded, collate


@dataclass(frozen=True)
class Rollout:
    """A rationale that a student wrote for a prompt."""

    prompt: str
    """Id of the prompt, which names its group."""
    sample: int
    """Its number within the group."""
    source: tuple[int, ...]
    """Ids that the student read."""
    target: tuple[int, ...]
    """Ids that it wrote, with the end if it wrote one."""
    text: str
    finished: bool
    """Whether the student wrote the end itself."""
    logprobs: tuple[float, ...] = ()
    """Log-probability (nats) of each token of `target` when it was drawn; empty: not recorded."""


@dataclass(frozen=True)
class Rewarded:
    """The reward of a rollout."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """Figures behind it, for the curves."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """What the value is the sum of; empty: not stated."""


Roll = Callable[[Student, int, Sequence[int]], Sequence[Sequence[Rollout]]]
"""(student, step, numbers of prompts) → a group of rollouts for each prompt. It must depend on its
arguments alone, so that a killed run repeats it."""
Reward = Callable[[Sequence[Sequence[Rollout]], int], Sequence[Sequence[Rewarded]]]
"""(groups, step) → the reward of each rollout."""


def encode_rollout(rollout: Rollout, student: Student) -> Encoded:
    """The rollout as a row of a batch, with every written token in the loss."""
    return encode_written(rollout.source, rollout.target, student, rollout.prompt)


def encode_written(
    source: Sequence[int], target: Sequence[int], student: Student, name: str = ""
) -> Encoded:
    """`target` as written after `source`, both in ids, with every target token in the loss."""
    written = (True,) * len(target)
    if student.architecture == "encoder-decoder":
        return Encoded(tuple(source), tuple(target), written, (name,))
    return Encoded((), (*source, *target), (False,) * len(source) + written, (name,))


def batch_of(rows: Sequence[Encoded], student: Student) -> Batch:
    """Tensors of `rows` on the student's device. Log-probabilities of the batch come row after
    row."""
    start = student.start_id if student.architecture == "encoder-decoder" else None
    return collate(rows, start).to(student.device)


def mean_by_name(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each named figure, over the mappings that have it.

    >>> mean_by_name([{"words": 3.0}, {"words": 5.0, "leak": 1.0}])
    {'words': 4.0, 'leak': 1.0}
    """
    values: dict[str, list[float]] = {}
    for mapping in figures:
        for name, value in mapping.items():
            values.setdefault(name, []).append(value)
    return {name: fmean(numbers) for name, numbers in values.items()}
