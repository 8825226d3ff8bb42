"""The student that a run hands to its user: chosen on validation, in every method. The test set
only reports.

A run that picked its winning arm on the test set would report a figure that the choice has raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smallsteps.experiment.run_facts import BestStudent


@dataclass(frozen=True)
class Candidate:
    """The student of one arm at one seed."""

    arm: str
    seed: int
    validation: float | None
    """The task's figure on the validation problems, higher is better; None: not measured."""
    folder: str | None
    """Of the student, relative to the run folder; None: the student before training."""


def best_on_validation(candidates: Iterable[Candidate]) -> BestStudent:
    """The student of the arm whose mean over its seeds is highest on validation,
    and of its students the one that is highest. Of equals the earlier is taken; arms with an
    unmeasured student come last.

    >>> best_on_validation([Candidate("direct", 0, 40.0, "a"), Candidate("ases", 0, 42.0, "b")])
    BestStudent(name='ases', seed=0, folder='b', validation=42.0)
    """
    by_arm: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_arm.setdefault(candidate.arm, []).append(candidate)
    arm = max(by_arm.values(), key=_mean)
    chosen = max(arm, key=_figure)
    return BestStudent(
        name=chosen.arm, seed=chosen.seed, folder=chosen.folder, validation=chosen.validation
    )


def _mean(arm: list[Candidate]) -> float:
    return sum(map(_figure, arm)) / len(arm)


def _figure(candidate: Candidate) -> float:
    return float("-inf") if candidate.validation is None else candidate.validation
