"""What the modules of a method define; they are imported when a recipe needs them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from smallsteps.experiment.arm import ChainArm, MethodRun
from smallsteps.experiment.data import RunData
from smallsteps.experiment.lab import BASE_STUDENT, Lab
from smallsteps.experiment.method import method_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.tasks.base import Task


class ArmsModule(Protocol):
    """What `methods/<name>/arms.py` defines."""

    def open_run(self, lab: Lab, names: Sequence[str]) -> MethodRun:
        """The method's arms `names` in this lab."""
        ...


class BeforeModule(Protocol):
    """What `methods/<name>/before.py` defines; `names` are the method's arms in the recipe."""

    def check(
        self, recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool | None
    ) -> None:
        """Raises UserError where names, files or settings cannot be used. `causal`: whether the
        student is a causal model; None: not known before it comes from the hub."""
        ...

    def check_data(self, recipe: Recipe, names: Sequence[str], data: RunData) -> None:
        """Raises UserError where the arms cannot be trained on the data."""
        ...

    def variants(self, recipe: Recipe, names: Sequence[str]) -> list[str]:
        """The names of the arms as they run: once for each value of a sweep that concerns them."""
        ...

    def models(self, recipe: Recipe, names: Sequence[str]) -> int:
        """Number of models that these arms train at one seed."""
        ...

    def chain_arms(self, recipe: Recipe, names: Sequence[str]) -> list[ChainArm]:
        """The arms that train on chains of thought, as `variants` names them."""
        ...

    def plan(self, recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
        """Lines of a dry run: the calls that the run may send. `questions`: in the files of chains
        or questions; `in_all`: in those of validation and test too."""
        ...

    def next_command(self, recipe: Recipe, out: Path, student: Path) -> list[str]:
        """The command that asks the student of a finished run, word by word."""
        ...


def solve_command(recipe: Recipe, out: Path, student: Path) -> list[str]:
    """`next_command` of a method whose student answers by itself."""
    return ["smallsteps", "solve", str(student), "your question"]


def untrained_command(recipe: Recipe, out: Path, task: str) -> list[str]:
    """The command that asks the recipe's student as it is before training."""
    student = str(out / BASE_STUDENT) if recipe.student.scratch else recipe.student.name
    return ["smallsteps", "solve", student, "your question", "--task", task]


def arm_names(recipe: Recipe) -> list[str]:
    """The arms of a recipe as a run names them: in a sweep one for each value."""
    return [
        name
        for arm in recipe.arms
        for name in before_module(method_of(arm).name).variants(recipe, [arm])
    ]


def arms_module(method: str) -> ArmsModule:
    """The module `arms` of a method, by the method's name."""
    return cast(ArmsModule, import_module(f"{_package(method)}.arms"))


def before_module(method: str) -> BeforeModule:
    """The module `before` of a method, by the method's name."""
    return cast(BeforeModule, import_module(f"{_package(method)}.before"))


def _package(method: str) -> str:
    return f"smallsteps.methods.{method.replace('-', '_')}"
