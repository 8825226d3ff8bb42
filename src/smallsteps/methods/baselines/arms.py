"""The baselines in a run: the arms by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallsteps.experiment.arm import Arm
from smallsteps.experiment.grading import GradedArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sweeps import with_limits
from smallsteps.methods.baselines.answer_only import AnswerOnlyArm
from smallsteps.methods.baselines.config import (
    ANSWER_ONLY,
    BASE,
    BASE_FEWSHOT,
    SELF_TRAINING,
)
from smallsteps.methods.baselines.direct import direct_arms
from smallsteps.methods.baselines.results import BaselinesResults
from smallsteps.methods.baselines.self_training import SelfTrainingArm, round_results
from smallsteps.methods.baselines.untrained import BaseArm, FewShotArm


def baseline_arms(recipe: Recipe, name: str) -> Sequence[Arm]:
    """The arm `name`, once for each value of a sweep that concerns it."""
    if name == BASE:
        return [BaseArm()]
    if name == BASE_FEWSHOT:
        return [FewShotArm()]
    if name == ANSWER_ONLY:
        return with_limits([AnswerOnlyArm()], recipe)
    if name == SELF_TRAINING:
        return with_limits([SelfTrainingArm()], recipe)
    return direct_arms(recipe, name)


@dataclass(frozen=True)
class BaselinesRun:
    """The baselines of one run."""

    lab: Lab
    names: Sequence[str]

    def arms(self, name: str) -> list[Arm]:
        return list(baseline_arms(self.lab.recipe, name))

    def prepare(self) -> None:
        """Draws the worked examples of `base-fewshot`. Raises RecipeError where the student cannot
        read them."""
        if BASE_FEWSHOT in self.names:
            for seed in self.lab.recipe.seeds:
                FewShotArm().student(self.lab, seed)

    def results(self, graded: Sequence[GradedArm]) -> BaselinesResults | None:
        """The rounds of `self-training`; None where it is not in the run."""
        trained = [arm for arm in graded if isinstance(arm.arm, SelfTrainingArm)]
        rounds = [
            row for arm in trained for row in round_results(arm.name, arm.seed, arm.outcome.detail)
        ]
        return BaselinesResults(self_training=rounds) if trained else None


def open_run(lab: Lab, names: Sequence[str]) -> BaselinesRun:
    """The baselines `names` in this lab."""
    return BaselinesRun(lab, names)
