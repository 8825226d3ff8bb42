"""What an arm is: any way of getting from the training data to answers for the test questions, at
a known cost.

    arm.run(lab, seed) -> Outcome: the answers, the student behind them, and what they cost

Each method says which arms it has (`methods/*/config.py`) and makes them (`methods/*/arms.py`); the
runner (`run.py`) grades every outcome in the same way. What an arm works with is the `Lab`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.trained import Part
from smallsteps.records import Chain


class Arm(Protocol):
    """One arm of an experiment."""

    @property
    def name(self) -> str:
        """`ases-uni-ent`; in a sweep also the value: `ases-uni-ent-beta=0.8`."""
        ...

    @property
    def method(self) -> str:
        """The method that the arm belongs to, by its name in the registry."""
        ...

    def against(self, names: Sequence[str]) -> list[str]:
        """Which of the arms `names` the method compares this one with. The recipe's baseline joins
        them where none of them belongs to its method."""
        ...

    def run(self, lab: Lab, seed: int) -> Outcome:
        """Trains and answers, or reads what an earlier call left."""
        ...


@runtime_checkable
class ChainArm(Protocol):
    """An arm that trains on chains of thought. Its examples are built and checked before any arm
    trains."""

    @property
    def name(self) -> str: ...

    @property
    def selection(self) -> ChainSelection: ...

    def parts(
        self, job: TrainingJob, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> list[Part]:
        """The models of the arm with their examples. Segments that need a trained student's scores
        are replaced by the finest ones."""
        ...

    def trainings(self, recipe: Recipe, seed: int) -> Sequence[tuple[ChainArm, str]]:
        """(arm, label) of each training that this arm needs, those of its scorers included: the
        examples of that arm say how long it takes."""
        ...


class MethodRun(Protocol):
    """One method within one run: its arms, and what they share."""

    def arms(self, name: str) -> list[Arm]:
        """The arm `name`, once for each value of a sweep that concerns it."""
        ...

    def prepare(self) -> None:
        """What is bought or checked before the first arm. Raises UserError."""
        ...

    def results(self, graded: Sequence[Any]) -> Any:
        """The method's own part of the results; None: it has none."""
        ...
