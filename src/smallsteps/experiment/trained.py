"""One model of an arm before its training, and what the training leaves."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from smallsteps.disk import write_json
from smallsteps.experiment.curves import curve_points
from smallsteps.experiment.results import RateResult
from smallsteps.records import Example, Kind
from smallsteps.students.student import Student
from smallsteps.training.choice import CRITERIA, Selection
from smallsteps.training.fit_result import FitResult

PAPER_CRITERIA = ("validation_loss", "train_loss", "bleu")
"""The three checkpoints of the paper (Sec. 4.2), the best of which it reports on the test set."""


@dataclass(frozen=True)
class Part:
    """One model of an arm, not trained yet, and what it learns from."""

    student: Student
    train: Collection[Example]
    validation: Collection[Example]
    share: float = 1.0
    """Of the arm's budget."""
    kind: Kind | None = None
    """Which half of a dual pair it is; None: the arm has one model."""

    def label(self, arm: str) -> str:
        """What the part is called in messages: its arm, and which half it is."""
        return f"{arm}, {self.kind} half" if self.kind else arm


@dataclass(frozen=True)
class BestSoFar:
    """A checkpoint that was the best so far on validation, and what it had cost."""

    folder: Path
    """Of the student or pair; it may be deleted once the run has graded its points."""
    value: float
    """Of the watched figure on validation: the task's metric, or the loss."""
    tokens: int
    tokens_before: int
    """Without its last update: a budget of more tokens than these reaches it."""
    passes: float
    seconds: float
    """Of the updates."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves: a student's folder for each criterion by which a checkpoint is
    chosen, and what it cost."""

    folders: dict[str, Path]
    train_tokens: int
    """Source + target, no padding; a dual pair's two together."""
    passes: float
    """Over the arm's examples, weighted by their tokens."""
    seconds: float
    """Of the updates; evaluations not counted."""
    validation: float | None
    """The task's metric (0 to 100) that the checkpoint `metric` reached on validation; None: not
    measured."""
    curves: list[dict[str, Any]]
    """One row per update, as `fit` has them; `half` says which student of a dual pair."""
    learning_rate: float
    """The highest of the schedule."""
    search: list[RateResult] = field(default_factory=list)
    """What each learning rate of the search reached; empty: there was none, or another seed made
    it."""
    trail: list[BestSoFar] = field(default_factory=list)
    """With `until: plateau`: the checkpoints that were best so far, in order. Else empty."""
    plateau: bool | None = None
    """Whether training ended at its plateau; False: its limit came first; None: the recipe ends
    training by tokens or passes."""

    @property
    def all_tokens(self) -> int:
        """Tokens that went through the model: `train_tokens`, and the positives and negatives of a
        contrast."""
        counts = [row["all_tokens"] for row in self.curves if "all_tokens" in row]
        return sum(counts) if counts else self.train_tokens

    @property
    def validation_loss(self) -> float | None:
        """Nats a target token at the last evaluation; of a pair the mean of both halves. None: not
        measured."""
        last = {
            row.get("half"): row["validation_loss"]
            for row in self.curves
            if row.get("validation_loss") is not None
        }
        return sum(last.values()) / len(last) if last else None

    @property
    def cost(self) -> dict[str, Any]:
        """Fields of the arm's row in results.json: what the training cost, and what was measured on
        the way."""
        return {
            "train_tokens": self.train_tokens,
            "passes": round(self.passes, 3),
            "seconds": round(self.seconds, 3),
            "learning_rate": self.learning_rate,
            "search": self.search,
            "curve": curve_points(self.curves),
            "plateau": self.plateau,
        }

    @classmethod
    def of(cls, result: FitResult) -> Self:
        """What one training leaves."""
        best = result.selections.get("metric")
        value = None if best is None else best.value
        return cls(
            result.folders,
            result.train_tokens,
            result.passes,
            result.seconds,
            value,
            result.curves,
            result.learning_rate,
            trail=[_best_so_far(result, chosen) for chosen in result.trail],
            plateau=result.plateau,
        )

    def folder(self, criterion: str) -> Path:
        """The student chosen by `criterion`, or by the next criterion that was measured."""
        return next(self.folders[name] for name in (criterion, *CRITERIA) if name in self.folders)

    def write(self, place: Path) -> None:
        """Writes `trained.json` in `place`, which holds the students' folders."""
        content = asdict(self)
        content["folders"] = {
            name: str(folder.relative_to(place)) for name, folder in self.folders.items()
        }
        content["search"] = [row.model_dump() for row in self.search]
        for row in content["trail"]:
            row["folder"] = str(row["folder"].relative_to(place))
        write_json(place / "trained.json", content)

    @classmethod
    def read(cls, place: Path) -> Self:
        """Reads what `write` wrote."""
        content = json.loads((place / "trained.json").read_text(encoding="utf-8"))
        folders = {criterion: place / name for criterion, name in content["folders"].items()}
        trail = [BestSoFar(**{**row, "folder": place / row["folder"]}) for row in content["trail"]]
        search = [RateResult.model_validate(row) for row in content["search"]]
        return cls(**{**content, "folders": folders, "trail": trail, "search": search})


def _best_so_far(result: FitResult, chosen: Selection) -> BestSoFar:
    row, before = result.curves[chosen.update - 1], result.curves[: chosen.update - 1]
    return BestSoFar(
        folder=result.out / chosen.folder,
        value=chosen.value,
        tokens=row["tokens"],
        tokens_before=before[-1]["tokens"] if before else 0,
        passes=row["passes"],
        seconds=row["seconds"],
    )
