"""The rows of a training's curves, made of losses that lie on the device.

Reading a loss waits for all that the device was given before. So on a GPU the figures of an update
are copied while it goes on, and are read when the next update is on its way. What is wrong with a
loss is then known one update late, but before anything is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from smallsteps.errors import DivergenceError
from smallsteps.training.contrast_losses import CURVE_NAMES
from smallsteps.training.gradient import Gradient
from smallsteps.training.updates import TrainingInputs, Update

Row = dict[str, float | int | None]


@dataclass
class _Entry:
    update: Update
    figures: Tensor
    """float32 [5], on the CPU: the loss, and means over contrast items; to be read once `copied`
    has happened."""
    copied: torch.cuda.Event | None
    row: Row = field(default_factory=dict)
    """Empty until the figures are read."""
    seconds: float = 0.0


class UpdateRows:
    """The rows of the newest updates, and the mean loss since the last evaluation."""

    def __init__(self, job: TrainingInputs) -> None:
        self.job, plan = job, job.checked.plan
        self.rates = plan.rates(job.settings.schedule, job.settings.warmup)
        """Of each update, as a share of the highest."""
        self._tokens_after = np.cumsum(plan.tokens).tolist()
        self._entries: deque[_Entry] = deque()
        self._loss, self._weight = 0.0, 0.0
        """Summed loss and normalisers since the last evaluation."""

    def add(self, update: Update, gradient: Gradient) -> None:
        """Take the figures of an update, without waiting for them."""
        means = gradient.contrast / max(update.usable, 1)
        figures = torch.cat([gradient.loss.reshape(1), means])
        copied = None
        if figures.device.type == "cuda":
            figures = torch.empty(figures.shape, pin_memory=True).copy_(figures, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self._entries.append(_Entry(update, figures, copied))

    def read(self, left: int = 0) -> None:
        """Read the figures of all updates but the newest `left`. Raises DivergenceError if a loss
        is no number."""
        for entry in list(self._entries)[: len(self._entries) - left]:
            if not entry.row:
                entry.row = self._row(entry)

    def stamp(self, seconds: float) -> None:
        """Seconds of training at the end of the newest update."""
        self._entries[-1].seconds = round(seconds, 3)

    def finished(self, left: int = 0) -> Iterator[Row]:
        """The rows of all updates but the newest `left`, which are forgotten here. They must have
        been read."""
        while len(self._entries) > left:
            entry = self._entries.popleft()
            yield entry.row | {"seconds": entry.seconds}

    def mean_loss(self) -> float:
        """Loss per counted token of the updates read since the last call."""
        mean = self._loss / max(1, self._weight)
        self._loss, self._weight = 0.0, 0.0
        return mean

    def _row(self, entry: _Entry) -> Row:
        """The row, without what evaluations add."""
        if entry.copied is not None:
            entry.copied.synchronize()
        update, settings = entry.update, self.job.settings
        loss, *means = entry.figures.tolist()
        if not np.isfinite(loss):
            raise DivergenceError(
                f"update {update.number + 1}: the loss is {loss}. Lower learning_rate "
                f"({settings.rate}) or use dtype float32."
            )
        self._loss += loss * update.normaliser
        self._weight += update.normaliser
        row: Row = {
            "update": update.number + 1,
            "tokens": self._tokens_after[update.number],
            "train_loss": loss,
            "lr": settings.rate * self.rates[update.number],
        }
        if self.job.contrasts:
            row["usable"] = update.usable / len(update.members)
            row["all_tokens"] = update.tokens
        if update.usable:
            names = CURVE_NAMES[self.job.contrast_settings.contrast]
            row |= dict(zip(names, means, strict=True))
        return row
