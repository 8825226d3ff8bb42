"""What is measured of a student at an evaluation of its training.

Several processes share the loss on validation. What needs generation each of them measures, since a
measure may share its work out (`team.share_out`); all get the first one's value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from smallsteps.students.student import Student
from smallsteps.training.batches import micro_batches
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import MicroBatchSize
from smallsteps.training.processes import from_first, sum_over_processes
from smallsteps.training.updates import Updates

Measure = Callable[[Student], float]
"""Validation figure of a student; higher is better."""


@dataclass(frozen=True)
class Measures:
    """What is measured at evaluations besides the losses."""

    bleu: Measure | None = None
    """Validation BLEU of segments generated on gold prefixes."""
    metric: Measure | None = None
    """The task's main figure on validation, generated the way the arm generates."""


@dataclass(frozen=True)
class Evaluator:
    """Measures the student of a training."""

    updates: Updates
    loss_model: SummedLoss
    measures: Measures
    size: MicroBatchSize
    device: torch.device
    rank: int
    world: int

    def values(self) -> dict[str, float]:
        """`validation_loss`, `bleu` and `metric`, as far as there is anything to measure them
        by."""
        self.loss_model.eval()
        values: dict[str, float] = {}
        if self.updates.job.checked.validation:
            values["validation_loss"] = self._validation_loss()
        for name, measure in (("bleu", self.measures.bleu), ("metric", self.measures.metric)):
            if measure is not None:
                values[name] = self._measured(measure)
        return values

    def _validation_loss(self) -> float:
        """Mean cross-entropy (nats) over all counted validation tokens, over all processes."""
        validation = self.updates.job.checked.validation
        every = list(validation)
        rows = every[self.rank :: self.world]

        def summed() -> torch.Tensor:
            total = torch.zeros((), device=self.device, dtype=torch.float64)
            with torch.no_grad():
                for batch in micro_batches(rows, self.size.tokens, self.device.type):
                    total += self.loss_model(self.updates.batch(batch).to(self.device))
            return total

        longest = max(row.tokens for row in every)
        total = self.size.fitting(summed, longest, self.device)
        sum_over_processes([total])
        return float(total.item()) / self.updates.weight(validation)

    def _measured(self, measure: Measure) -> float:
        """What the first process measures."""
        value = measure(self.updates.job.student)
        return from_first(torch.tensor(value, dtype=torch.float64, device=self.device))
