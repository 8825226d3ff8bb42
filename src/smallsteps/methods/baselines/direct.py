"""The arms `direct` and, on reports, `direct-report`: whole chains, the baseline of every
comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome, label_of, place_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sweeps import swept_suffix, with_limits
from smallsteps.experiment.trained import Part, Trained
from smallsteps.methods.baselines.config import DIRECT, DIRECT_REPORT, METHOD
from smallsteps.methods.baselines.method import direct_part, train_direct
from smallsteps.records import Chain


@dataclass(frozen=True)
class DirectArm:
    """Whole chains: read the question, write the chain."""

    selection: ChainSelection
    swept: tuple[str, ...] = ()
    """Settings of a sweep whose values stand in the name."""
    method: str = METHOD.name

    @property
    def name(self) -> str:
        bare = DIRECT_REPORT if self.selection.whole_report else DIRECT
        return bare + swept_suffix(self.swept, vars(self.selection))

    def against(self, names: Sequence[str]) -> list[str]:
        return []

    def parts(
        self, job: TrainingJob, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> list[Part]:
        return [direct_part(job, train, validation)]

    def trainings(self, recipe: Recipe, seed: int) -> Sequence[tuple[ChainArm, str]]:
        return [(self, label_of(self.name, seed))]

    def train(self, lab: Lab, seed: int) -> Trained:
        """The student trained on all selected chains."""
        place = f"arms/{place_of(self.name, seed)}/training"
        return self.train_on(lab, seed, place, lab.train_chains(self.selection))

    def train_on(
        self, lab: Lab, seed: int, place: str, chains: Sequence[Chain], note: str = ""
    ) -> Trained:
        """A student trained on `chains` alone, in the stage `place`. `note` ends its label."""
        label = label_of(self.name, seed) + note
        # students of several folds learn from other chains than the arm, and take one rate
        searched_as = f"{self.name}-folds" if note else None

        def make(folder: Path) -> Trained:
            job = lab.chain_job(self.selection, seed, folder, label, searched_as)
            return train_direct(job, chains, lab.validation_chains(self.selection))

        return lab.train_once(place, label, make)

    def run(self, lab: Lab, seed: int) -> Outcome:
        return lab.outcome(self.name, seed, self.selection, self.train(lab, seed))


def direct_of_as_many(
    selection: ChainSelection, swept: tuple[str, ...], names: Sequence[str]
) -> list[str]:
    """In a sweep the direct arm that learns from the same chains, where it is among `names`."""
    direct = DirectArm(selection, swept).name
    return [direct] if swept and direct in names else []


def direct_arms(recipe: Recipe, name: str) -> list[DirectArm]:
    """`direct`, once for each gamma and each number of chains of a sweep, or `direct-report`."""
    if name == DIRECT_REPORT:  # whole reports hold all their regions
        return [DirectArm(ChainSelection(recipe.segmentation.gamma, whole_report=True))]
    arm = DirectArm(ChainSelection(recipe.segmentation.gamma))
    arms = [
        replace(arm, selection=ChainSelection(gamma), swept=("gamma",))
        for gamma in recipe.sweep.get("gamma", ())
    ]
    return with_limits(arms or [arm], recipe)
