"""Checks of the baselines before a run, and their part of its plan."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain as chained

from smallsteps.errors import RecipeError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.data import RunData
from smallsteps.experiment.method_modules import solve_command
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.methods.baselines.answer_only import answers_alone
from smallsteps.methods.baselines.arms import baseline_arms
from smallsteps.methods.baselines.config import (
    ANSWER_ONLY,
    BASE,
    BASE_FEWSHOT,
    DIRECT_REPORT,
    SELF_TRAINING,
    UNTRAINED,
    BaselinesSettings,
)
from smallsteps.methods.baselines.untrained import refuse_encoder_decoder
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.zero_shot import zero_shot


def check(
    recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool | None
) -> None:
    """Raises RecipeError where an arm cannot be made on this task, or by this student."""
    if BASE_FEWSHOT in names:
        refuse_encoder_decoder(causal, recipe.student.name)
    if BASE in names and (prompt := recipe.section(BaselinesSettings).prompt) is not None:
        zero_shot(task, read_prompt(prompt))
    for name in (ANSWER_ONLY, SELF_TRAINING):
        if name in names and task.closing is None:
            others = ", ".join(arm for arm in recipe.arms if arm != name)
            raise RecipeError(
                f"the arm {name} needs answer sentences; the task {task.name!r} has none. Leave it "
                f"out of the arms: {others}"
            )
    if DIRECT_REPORT in names and task.whole_chains is None:
        raise RecipeError(
            f"the arm direct-report is for reports; the task {task.name!r} has no parts. Use direct"
        )


def check_data(recipe: Recipe, names: Sequence[str], data: RunData) -> None:
    """Raises UserError where `answer-only` has no answer to learn, or the prompt of `base` does not
    fit the data. Whole chains can be learnt from any chains."""
    if BASE in names and (prompt := recipe.section(BaselinesSettings).prompt) is not None:
        zero_shot(data.task, read_prompt(prompt)).render(data.test[0])
    if ANSWER_ONLY in names:
        for _ in answers_alone(chained(data.train_chains, data.validation_chains), data.task):
            pass


def variants(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The arms as they run, once for each value of a sweep."""
    return [arm.name for name in names for arm in baseline_arms(recipe, name)]


def models(recipe: Recipe, names: Sequence[str]) -> int:
    """One for each arm that trains; of `self-training` one for each round."""
    once = [name for name in names if name not in (*UNTRAINED, SELF_TRAINING)]
    rounds = recipe.section(BaselinesSettings).rounds if SELF_TRAINING in names else 0
    self_trained = variants(recipe, [SELF_TRAINING]) if rounds else []
    return len(variants(recipe, once)) + rounds * len(self_trained)


def chain_arms(recipe: Recipe, names: Sequence[str]) -> list[ChainArm]:
    """All but the untrained students."""
    arms = [arm for name in names for arm in baseline_arms(recipe, name)]
    return [arm for arm in arms if isinstance(arm, ChainArm)]


def plan(recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
    """The samples of `self-training`."""
    if SELF_TRAINING not in names:
        return []
    settings = recipe.section(BaselinesSettings)
    return [
        f"{SELF_TRAINING}: {settings.samples} chains of every training question in each of at most "
        f"{settings.rounds} rounds, at every seed; each round trains for the whole budget"
    ]


next_command = solve_command
