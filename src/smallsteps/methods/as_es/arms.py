"""AS-ES arms: which segments each learns, from which scorer, and where that lies.

    segments/<strategy>/segments.jsonl   one folder for all arms that learn the same segments; `ent`
                                         and `loss`: one for each seed
    scorers/<student>/                   with `folds`: direct students that have not seen the chains
                                         they score
    arms/<arm>-seed<k>/training/         the trained student, or pair of students

What an arm learns stands in `method.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from smallsteps import team
from smallsteps.errors import counted
from smallsteps.experiment.arm import Arm, ChainArm
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome, folder_name, label_of, place_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.stored_rows import StoredRows, those
from smallsteps.experiment.sweeps import swept_suffix, with_limits
from smallsteps.experiment.trained import Part, Trained
from smallsteps.methods.as_es.config import ArmSpec, parse_arm
from smallsteps.methods.as_es.method import as_es_parts, datasets, segment, train_as_es
from smallsteps.methods.baselines.direct import DirectArm
from smallsteps.records import Chain, Example, Segment
from smallsteps.segments.cuts import Cuts
from smallsteps.segments.strategies import get_strategy, needs_trained_scorer
from smallsteps.streams import Stream, blocks, joined
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.tasks.files import write_rows

METHOD = "as-es"
FINEST = "inter"
"""Every sub-sentence is a segment."""


@dataclass(frozen=True)
class AsEsArm:
    """A student that writes one segment at a time, or a pair of students."""

    spec: ArmSpec
    beta: float
    selection: ChainSelection
    swept: tuple[str, ...] = ()
    """Settings of a sweep whose values stand in the name."""
    method: str = METHOD

    @property
    def name(self) -> str:
        return self.spec.name + self._knobs

    @property
    def strategy(self) -> str:
        return self.spec.strategy

    @property
    def _knobs(self) -> str:
        return swept_suffix(self.swept, {"beta": self.beta, **vars(self.selection)})

    def direct(self) -> DirectArm:
        """Whole chains of the same selection: the scorer of `ent` and `loss`, and the arm to be
        compared with."""
        return DirectArm(self.selection, tuple(knob for knob in self.swept if knob != "beta"))

    def against(self, names: Sequence[str]) -> list[str]:
        named = [self.direct().name]
        if twin := get_strategy(self.strategy).as_many_as:
            twin_name = self.spec.name.removesuffix(self.strategy) + twin
            named.append(twin_name + self._knobs)
        return [name for name in named if name in names]

    # ---- segments ----

    def segments(self, lab: Lab, seed: int) -> Cuts:
        """Segments of the arm's training and validation chains."""

        def make(folder: Path) -> None:
            train = lab.train_chains(self.selection)
            validation = lab.validation_chains(self.selection)
            if needs_trained_scorer(self.strategy) and lab.recipe.segmentation.folds > 1:
                cut = self._cut_by_folds(lab, seed, folder, train, validation)
            else:
                chains = joined(train, validation)
                cut = self.cut(lab, seed, folder, chains, self.scorer(lab, seed))
            rows = (segment.to_row() for segments in cut for segment in segments)
            write_rows(folder / "segments.jsonl", rows)

        by_seed = f"-seed{seed}" if needs_trained_scorer(self.strategy) else ""
        place = f"segments/{folder_name(self.strategy + self._knobs)}{by_seed}"
        rows = StoredRows(lab.run.stage(place, make) / "segments.jsonl", Segment.from_row)
        of_chains = groupby(rows, key=lambda segment: segment.rationale_id)
        return Cuts(list(segments) for _, segments in of_chains)

    def scorer(self, lab: Lab, seed: int) -> Student | None:
        """`ent`, `loss`: the direct student of lowest validation loss, with `folds` the first of
        them, which scores chains outside the training part; `ent*`: the untrained student; the
        others need none."""
        if not get_strategy(self.strategy).needs_student:
            return None
        if not needs_trained_scorer(self.strategy):
            return load_student(lab.base_folder, device=lab.recipe.student.device)
        if lab.recipe.segmentation.folds > 1:
            return _load_scorer(lab, self._fold_scorer(lab, seed, 0))
        return _load_scorer(lab, self.direct().train(lab, seed))

    def scorer_tokens(self, lab: Lab, seed: int) -> int | None:
        """Training tokens of the arm's scorers, which its budget does not count; None where it
        needs none."""
        if not needs_trained_scorer(self.strategy):
            return None
        folds = lab.recipe.segmentation.folds
        if folds == 1:
            return self.direct().train(lab, seed).train_tokens
        return sum(self._fold_scorer(lab, seed, fold).train_tokens for fold in range(folds))

    def cut(
        self, lab: Lab, seed: int, folder: Path, chains: Collection[Chain], scorer: Student | None
    ) -> Iterator[list[Segment]]:
        """The segments of each of the chains, which are cut block by block."""
        label = label_of(self.name, seed)
        chain_count = counted(len(chains), "chain")
        lab.reporter.say(f"{label}: cutting {chain_count} by {self.strategy}")
        job = lab.chain_job(self.selection, seed, folder, label)
        for block in blocks(chains):
            yield from team.share_out(
                block, lambda share: segment(job, share, self.strategy, self.beta, scorer)
            )

    def _cut_by_folds(
        self,
        lab: Lab,
        seed: int,
        folder: Path,
        train: Sequence[Chain],
        validation: Sequence[Chain],
    ) -> Iterator[list[Segment]]:
        """Each training chain is scored by a direct student trained on the other folds; validation
        chains, which none has seen, by the first."""
        fold_of = folds(train, lab.recipe.segmentation.folds)
        for fold in range(lab.recipe.segmentation.folds):
            of_fold = those(train, partial(_in_fold, fold_of, fold))
            chains = joined(of_fold, validation if fold == 0 else ())
            scorer = _load_scorer(lab, self._fold_scorer(lab, seed, fold))
            yield from self.cut(lab, seed, folder, chains, scorer)

    def _fold_scorer(self, lab: Lab, seed: int, fold: int) -> Trained:
        """The direct student that has not seen the chains of `fold`."""
        direct = self.direct()
        train = lab.train_chains(self.selection)
        fold_of = folds(train, lab.recipe.segmentation.folds)
        others = those(train, lambda chain: fold_of[chain.problem.id] != fold)
        place = f"scorers/{place_of(direct.name, seed)}-without-fold{fold}"
        return direct.train_on(lab, seed, place, others, fold_note(fold))

    # ---- training ----

    def parts(
        self, job: TrainingJob, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> list[Part]:
        """The models of the arm and their examples. Where segments need a trained scorer, the
        finest segments stand for them."""
        needs_student = get_strategy(self.strategy).needs_student
        strategy = FINEST if needs_student else self.strategy

        def examples_of(chains: Sequence[Chain]) -> Stream[Example]:
            cuts = Cuts()
            for block in blocks(chains):
                for segments in segment(job, block, strategy, self.beta, None):
                    cuts.add(segments)
            return datasets(job, self.spec, chains, cuts)

        return as_es_parts(job, self.spec, examples_of(train), examples_of(validation))

    def trainings(self, recipe: Recipe, seed: int) -> Sequence[tuple[ChainArm, str]]:
        """The arm itself, and the direct student that scores its chains: with `folds` one for each
        fold."""
        trainings: list[tuple[ChainArm, str]] = [(self, label_of(self.name, seed))]
        if needs_trained_scorer(self.strategy):
            direct, count = self.direct(), recipe.segmentation.folds
            notes = [fold_note(fold) for fold in range(count)] if count > 1 else [""]
            trainings += [(direct, label_of(direct.name, seed) + note) for note in notes]
        return trainings

    def train(self, lab: Lab, seed: int) -> Trained:
        """The trained student or pair."""
        # first, so that damage to the segments shows also where training is over
        cuts = self.segments(lab, seed)
        label = label_of(self.name, seed)

        def make(folder: Path) -> Trained:
            return train_as_es(
                lab.chain_job(self.selection, seed, folder, label),
                self.spec,
                lab.train_chains(self.selection),
                lab.validation_chains(self.selection),
                cuts,
            )

        return lab.train_once(f"arms/{place_of(self.name, seed)}/training", label, make)

    def run(self, lab: Lab, seed: int) -> Outcome:
        trained = self.train(lab, seed)
        outcome = lab.outcome(self.name, seed, self.selection, trained)
        scorer = {"scorer_tokens": self.scorer_tokens(lab, seed), "beta": self.beta}
        control = get_strategy(self.strategy).control
        return replace(
            outcome, cost={**outcome.cost, **scorer}, control=control, handed_out=not control
        )


def _load_scorer(lab: Lab, trained: Trained) -> Student:
    return load_student(trained.folder("validation_loss"), device=lab.recipe.student.device)


def folds(chains: Sequence[Chain], count: int) -> dict[str, int]:
    """Problem id → fold; all chains of a problem, and all regions of a report, go to one."""
    groups = sorted({chain.problem.group or chain.problem.id for chain in chains})
    fold_of = {group: index % count for index, group in enumerate(groups)}
    return {chain.problem.id: fold_of[chain.problem.group or chain.problem.id] for chain in chains}


def _in_fold(fold_of: Mapping[str, int], fold: int, chain: Chain) -> bool:
    return fold_of[chain.problem.id] == fold


def fold_note(fold: int) -> str:
    """What the label of a fold's scorer ends in."""
    return f", without fold {fold}"


def as_es_arms(recipe: Recipe, name: str) -> list[AsEsArm]:
    """The arm `name`, once for each value of a sweep that concerns it."""
    settings, spec = recipe.segmentation, parse_arm(name)
    arm = AsEsArm(spec, settings.beta, ChainSelection(settings.gamma))
    arms = [arm]
    if get_strategy(arm.strategy).reads_beta and "beta" in recipe.sweep:
        arms = [replace(arm, beta=beta, swept=("beta",)) for beta in recipe.sweep["beta"]]
    if "gamma" in recipe.sweep:
        arms = [
            replace(arm, selection=ChainSelection(gamma), swept=(*arm.swept, "gamma"))
            for arm in arms
            for gamma in recipe.sweep["gamma"]
        ]
    return with_limits(arms, recipe)


@dataclass(frozen=True)
class AsEsRun:
    """The AS-ES arms of one run."""

    lab: Lab

    def arms(self, name: str) -> list[Arm]:
        return list(as_es_arms(self.lab.recipe, name))

    def prepare(self) -> None:
        pass

    def results(self, graded: Sequence[Any]) -> None:
        return None


def open_run(lab: Lab, names: Sequence[str]) -> AsEsRun:
    """The AS-ES arms `names` in this lab."""
    return AsEsRun(lab)
