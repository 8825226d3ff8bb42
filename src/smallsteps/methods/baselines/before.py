"""Checks of the baselines before a run, and their part of its plan."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.errors import RecipeError
from smallsteps.experiment.data import RunData
from smallsteps.experiment.method_modules import solve_command
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.methods.baselines.answer_only import answers_alone
from smallsteps.methods.baselines.arms import baseline_arms
from smallsteps.methods.baselines.config import ANSWER_ONLY, BASE, DIRECT_REPORT
from smallsteps.tasks.base import Task


def check(recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool) -> None:
    """Raises RecipeError where an arm cannot be trained on this task."""
    if ANSWER_ONLY in names and task.closing is None:
        others = ", ".join(arm for arm in recipe.arms if arm != ANSWER_ONLY)
        raise RecipeError(
            f"the arm {ANSWER_ONLY} learns answer sentences; the task {task.name!r} has none. "
            f"Leave it out of the arms: {others}"
        )
    if DIRECT_REPORT in names and task.whole_chains is None:
        raise RecipeError(
            f"the arm direct-report is for reports; the task {task.name!r} has no parts. Use direct"
        )


def check_data(recipe: Recipe, names: Sequence[str], data: RunData) -> None:
    """Raises DataError where `answer-only` has no answer to learn. Whole chains can be learnt from
    any chains."""
    if ANSWER_ONLY in names:
        answers_alone([*data.train_chains, *data.validation_chains], data.task)


def variants(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The arms as they run, once for each value of a sweep."""
    return [arm.name for name in names for arm in baseline_arms(recipe, name)]


def models(recipe: Recipe, names: Sequence[str]) -> int:
    """One for each arm but `base`."""
    return len(variants(recipe, [name for name in names if name != BASE]))


def plan(recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
    """Nothing beside the sizes of the chains."""
    return []


next_command = solve_command
