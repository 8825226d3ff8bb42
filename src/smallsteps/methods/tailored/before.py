"""Checks of tailored learning before a run, and its part of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallsteps.errors import RecipeError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.beforehand import check_prompt_files, check_served
from smallsteps.experiment.data import RunData
from smallsteps.experiment.method_modules import solve_command
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.methods.tailored.config import TailoredSettings
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import check_prompts
from smallsteps.teaching.settings import TeacherSettings

PROMPTS = ("initial", "feedback", "blind")


def check(
    recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool | None
) -> None:
    """Raises UserError where the teacher cannot be asked as the recipe says."""
    settings = recipe.section(TailoredSettings)
    teacher = settings.teacher
    if settings.rationales > 1 and not teacher.temperature:
        raise RecipeError(
            "tailored.rationales above 1 needs tailored.teacher.temperature above 0; greedy ones "
            "are all alike."
        )
    check_prompt_files("tailored.teacher", teacher, PROMPTS)
    if teacher.name == "solver":
        _refuse_corrections(teacher)
        return
    if teacher.name.endswith(".jsonl"):
        for key, name in (("name", teacher.name), ("corrections", teacher.corrections)):
            if name is not None and not Path(name).is_file():
                raise RecipeError(f"tailored.teacher.{key}: {name}: no such file.")
        return
    _refuse_corrections(teacher)
    check_served("tailored.teacher", teacher, access)


def _refuse_corrections(teacher: TeacherSettings) -> None:
    if teacher.corrections is not None:
        raise RecipeError(
            f"tailored.teacher.corrections: the teacher {teacher.name!r} corrects mistakes itself; "
            "only a .jsonl file as tailored.teacher.name has a second file. Take it out."
        )


def check_data(recipe: Recipe, names: Sequence[str], data: RunData) -> None:
    """Raises UserError where the prompts do not fit the data, or a question has no gold answer."""
    data.check_answers()
    teacher = recipe.section(TailoredSettings).teacher
    prompts = [getattr(teacher, prompt) for prompt in PROMPTS]
    check_prompts(prompts, data.task, data.train[0])


def variants(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The arms as they are."""
    return list(names)


def models(recipe: Recipe, names: Sequence[str]) -> int:
    """One for each arm and round."""
    return recipe.section(TailoredSettings).rounds * len(names)


def chain_arms(recipe: Recipe, names: Sequence[str]) -> list[ChainArm]:
    """None: its chains come from a teacher."""
    return []


def plan(recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
    """The calls that the teacher may get."""
    settings = recipe.section(TailoredSettings)
    first = questions * settings.rationales
    feedback = questions * settings.mistakes * (settings.rounds - 1)
    return [
        f"teacher: at most {first:,} calls at the start (T_0) and {feedback:,} for the feedback of "
        f"a seed, each at most {1 + settings.teacher.retries} times; other arms may spend as much "
        "as `tailored-full`",
    ]


next_command = solve_command
