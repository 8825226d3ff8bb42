"""What an arm leaves at one seed, which chains it learns from, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import Score
from smallsteps.experiment.trained import BestSoFar
from smallsteps.records import Prediction

Details = Mapping[str, Sequence[Mapping[str, Any]]]
"""Name → rows that only one method has (`page_files.ArmFiles`)."""


@dataclass(frozen=True)
class Outcome:
    """What an arm left at one seed: answers to the test questions, and what they cost."""

    predictions: list[Prediction]
    """For the problems of the test set, in their order (reports: for their regions)."""
    shown: list[Prediction]
    """The same for people: the regions of a report joined."""
    student: Path | None = None
    """The folder of the student that answered, or wrote the rationales; None: no student."""
    validation: float | None = None
    """The metric (0 to 100) that this student reached on validation; None: not measured."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the arm's row in results.json: training tokens, passes, seconds, replies bought."""
    writes_chains: bool = True
    """Whether predictions are chains of thought, which can be compared with gold chains."""
    further: Mapping[str, list[Prediction]] = field(default_factory=dict)
    """Name of a further test set → predictions."""
    by_criterion: Mapping[str, list[Prediction]] = field(default_factory=dict)
    """Only with `evaluation.paper_protocol`: criterion → predictions of its checkpoint."""
    trail: Sequence[BestSoFar] = ()
    """With `until: plateau`: the checkpoints that were best so far; empty: they cannot answer by
    themselves."""
    answers_of: Callable[[Path], list[Prediction]] | None = None
    """The answers of a checkpoint in `trail` to the test problems."""
    curves: Sequence[Mapping[str, Any]] = ()
    """One row per update of the training."""
    details: Callable[[Score], Details] = field(default=lambda score: {})
    """What only this method shows on the page, once the answers are graded."""
    control: bool = False
    """A control or a ceiling, which no user can use: it never leads."""
    handed_out: bool = True
    """Whether the student may be the one that the run hands out."""
    untrained: bool = False
    """Whether the recipe's student answered as it was before training: it has no folder, and may be
    the best nevertheless."""
    decode: str = "greedy"
    """How the answers were generated and read off, for the score's signature."""
    detail: Any = None
    """What the method needs for its own part of the results."""


@dataclass(frozen=True)
class ChainSelection:
    """Which of the training chains an arm learns from. Without a sweep only tasks with reports have
    a choice."""

    gamma: float = 1.0
    """Normal regions included per report."""
    whole_report: bool = False
    """Whole reports instead of regions."""
    limit: int | None = None
    """Number of chains, in a sweep of `data.limit`; None: all."""

    def of_direct(self) -> ChainSelection:
        """The same chains as regions."""
        return replace(self, whole_report=False)


def place_of(name: str, seed: int) -> str:
    """The name and the seed of an arm as a folder's name."""
    return f"{folder_name(name)}-seed{seed}"


def folder_name(name: str) -> str:
    """A name without what file systems dislike.

    >>> folder_name("ases-uni-ent*-beta=0.8"), folder_name("self-training, round 1")
    ('ases-uni-ent-star-beta0.8', 'self-training-round-1')
    """
    return name.replace("*", "-star").replace("=", "").replace(", ", "-").replace(" ", "-")


def label_of(name: str, seed: int) -> str:
    """What an arm at a seed is called in messages."""
    return f"{name}, seed {seed}"
