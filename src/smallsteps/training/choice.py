"""Which checkpoints of a training are kept, and whether it has reached its plateau.

At every evaluation the student is kept that is best so far by some criterion. With a patience, a
training is over once so many evaluations in a row have brought no gain in the watched criterion
(the metric on validation, else the loss there); and all students that were best so far are kept, so
that arms can be compared at any point of their way. What is decided depends on the measured values
alone: a training that was killed decides the same when it goes on.

An equal figure is no gain, but while the metric is 0 a lower loss on validation is one. Otherwise a
student that cannot answer anything yet would count as one that has learnt all it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

CRITERIA = ("metric", "validation_loss", "train_loss", "bleu")
"""What a checkpoint can be chosen by: best task metric, lowest validation loss, lowest training
loss (mean since the last evaluation), highest validation BLEU. In this order: where one was not
measured, the next takes its place."""
LOWEST = frozenset({"train_loss", "validation_loss"})
WATCHED = ("metric", "validation_loss")
"""What decides that the plateau is reached: the first that is measured."""


@dataclass(frozen=True)
class Selection:
    """The best evaluation so far by one criterion."""

    update: int
    value: float

    @property
    def folder(self) -> str:
        return candidate_name(self.update)


def candidate_name(update: int) -> str:
    """The folder of the student that is kept after `update`."""
    return f"candidate-{update}"


def better(criterion: str, value: float, best: Selection | None) -> bool:
    """Whether `value` beats `best`; of equals the earlier stays. NaN never wins."""
    if value != value:
        return False
    if best is None:
        return True
    return value < best.value if criterion in LOWEST else value > best.value


@dataclass(frozen=True)
class Gain:
    """The last evaluation that brought a gain."""

    update: int
    value: float
    """Of the watched criterion."""
    loss: float | None
    """On validation; None: not measured."""


@dataclass
class Choice:
    """The best evaluations so far."""

    evaluations: Sequence[int]
    """The updates after which the training is evaluated."""
    patience: int | None = None
    """Evaluations without a better value after which the training is over; None: it trains to the
    end."""
    selections: dict[str, Selection] = field(default_factory=dict)
    """Criterion → its best evaluation."""
    trail: list[Selection] = field(default_factory=list)
    """With a patience: every evaluation that was the best so far by the watched criterion, in
    order."""
    gain: Gain | None = None
    """With a patience: the last gain; None: there was none yet."""
    criteria: Sequence[str] = CRITERIA
    """By which a best evaluation is kept."""

    @classmethod
    def of(
        cls,
        evaluations: Sequence[int],
        patience: int | None,
        state: Mapping[str, Any],
        criteria: Sequence[str] = CRITERIA,
    ) -> Self:
        """The choice that `state` of an earlier call describes; empty: none was made yet."""
        selections = {name: Selection(**row) for name, row in state.get("selections", {}).items()}
        trail = [Selection(**row) for row in state.get("trail", ())]
        gain = Gain(**state["gain"]) if state.get("gain") else None
        return cls(evaluations, patience, selections, trail, gain, criteria)

    def state(self) -> dict[str, Any]:
        """What `of` reads."""
        return {
            "selections": {name: vars(chosen) for name, chosen in self.selections.items()},
            "trail": [vars(chosen) for chosen in self.trail],
            "gain": None if self.gain is None else vars(self.gain),
        }

    def take(self, update: int, values: Mapping[str, float]) -> bool:
        """Takes the values measured after `update`. Returns whether it is the best so far by any
        criterion, so that its student must be kept."""
        won = {
            name: Selection(update, values[name])
            for name in self.criteria
            if name in values and better(name, values[name], self.selections.get(name))
        }
        self.selections |= won
        watched = next((name for name in WATCHED if name in values), None)
        if self.patience is not None and watched is not None:
            loss = values.get("validation_loss")
            if watched in won:
                self.trail.append(won[watched])
            if watched in won or self._still_nothing_right(values[watched], loss):
                self.gain = Gain(update, values[watched], loss)
        return bool(won)

    def _still_nothing_right(self, metric: float, loss: float | None) -> bool:
        """Whether the metric is still 0 and the loss on validation has fallen."""
        if self.gain is None or loss is None or self.gain.loss is None:
            return False
        return metric == self.gain.value == 0.0 and loss < self.gain.loss

    def without_gain(self, update: int) -> int:
        """Evaluations up to `update` since the last gain."""
        last = 0 if self.gain is None else self.gain.update
        return sum(last < evaluated <= update for evaluated in self.evaluations)

    def over(self, update: int) -> bool:
        """Whether a training that was evaluated after `update` has reached its plateau."""
        return self.patience is not None and self.without_gain(update) >= self.patience

    @property
    def kept(self) -> list[Selection]:
        """The evaluations whose students are kept, each once."""
        return list(dict.fromkeys([*self.selections.values(), *self.trail]))

    @property
    def folders(self) -> set[str]:
        """The names of the folders of these students."""
        return {chosen.folder for chosen in self.kept}
