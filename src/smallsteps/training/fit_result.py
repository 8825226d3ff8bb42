"""What a training that is over leaves: `result.json` beside its checkpoints, written and read, and
what a checkpoint says of a training that is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.errors import TrainingError
from smallsteps.training.checkpoints import CURVES, RESULT, finish, is_finished, read_curves
from smallsteps.training.choice import Choice, Selection
from smallsteps.training.preflight import Preflight
from smallsteps.training.updates import TrainingInputs

STATE = "training_state.json"
"""What a checkpoint to resume from says of its training."""


@dataclass(frozen=True)
class FitResult:
    """The result of training. The best weights are in the folders; the student object has those of
    the last update."""

    out: Path
    """What the training left."""
    folders: dict[str, Path]
    """Criterion (`train_loss`, `validation_loss`, `bleu`, `metric`, as far as they were measured) →
    Hugging Face folder."""
    selections: dict[str, Selection]
    """Criterion → the update that was best, and its value."""
    curves: list[dict[str, Any]]
    """One row an update: update, tokens, train_loss (nats a target token), lr, seconds; at
    evaluations also passes, evaluation_seconds (of all so far), validation_loss, bleu, metric and
    train_loss_mean (since the evaluation before). With contrasts also usable (share of items) and
    all_tokens (of this update: anchors, positives and negatives)."""
    trail: list[Selection]
    """With `until: plateau`: every evaluation that was the best so far, in order; their students
    are kept. Else empty."""
    plateau: bool | None
    """Whether training ended at its plateau; False: budget or passes ended it first; None: that was
    not asked for."""
    train_tokens: int
    """Source and target tokens trained on, no padding."""
    passes: float
    updates: int
    seconds: float
    """Wall-clock seconds of the updates, evaluations not counted."""
    micro_batch_tokens: int
    """As it was at the end: smaller than in the settings where memory ran out."""
    processes: int
    learning_rate: float
    """The highest of the schedule."""
    report: Preflight = field(repr=False)

    def folder(self, *criteria: str) -> Path:
        """The folder of the first of `criteria` that was measured; by default metric,
        validation_loss, train_loss."""
        for criterion in criteria or ("metric", "validation_loss", "train_loss"):
            if criterion in self.folders:
                return self.folders[criterion]
        raise TrainingError(
            f"no checkpoint by {', '.join(criteria)}: measured were {', '.join(self.folders)}"
        )


def write_result(
    out: Path,
    job: TrainingInputs,
    state: Mapping[str, Any],
    processes: int,
    patience: int | None,
) -> None:
    plan, update = job.checked.plan, state["update"]
    choice = Choice.of((), patience, state)
    state_of_choice = choice.state()
    result = {
        "selections": state_of_choice["selections"],
        "trail": state_of_choice["trail"],
        "plateau": None if patience is None else state["over"],
        "train_tokens": plan.tokens_after(update),
        "passes": plan.passes_after(update),
        "updates": update,
        "seconds": state["seconds"],
        "micro_batch_tokens": state["micro_batch_tokens"],
        "processes": processes,
        "learning_rate": job.settings.rate,
    }
    finish(out, result, choice.selections.values())


def read_result(out: Path, report: Preflight) -> FitResult | None:
    """The result in a folder whose training is over; None while it is not."""
    if not is_finished(out):
        return None
    row = json.loads((out / RESULT).read_text(encoding="utf-8"))
    choice = Choice.of((), None, {name: row.pop(name) for name in ("selections", "trail")})
    return FitResult(
        out=out,
        folders={name: out / chosen.folder for name, chosen in choice.selections.items()},
        selections=choice.selections,
        trail=choice.trail,
        curves=read_curves(out / CURVES),
        report=report,
        **row,
    )


def read_state(checkpoint: Path | None) -> dict[str, Any]:
    """What a checkpoint says of the training; empty without one."""
    if checkpoint is None:
        return {}
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state
