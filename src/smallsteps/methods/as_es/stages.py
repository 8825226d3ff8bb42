"""The stages of each arm in the run folder: scorer → segments → training → answers. Each is done
once and read after.

    segments/<strategy>/segments.jsonl         records.Segment; one folder for all arms that learn the same segments
    arms/<arm>-seed<k>/training/               checkpoints, curves, trained.json
    arms/<arm>-seed<k>/answers/parts.jsonl     records.Prediction for the test problems (reports: their regions)
    scorers/…                                  with `folds`: direct students that have not seen the chains they score

What an arm *is* stands in `direct.py` and `as_es.py`; here is when it is made, from which chains
and where it lies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smallsteps.errors import counted
from smallsteps.experiment.arm import Trained, Workshop
from smallsteps.experiment.data import Material, read_json_lines
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter
from smallsteps.methods.as_es.method import segment, train_as_es
from smallsteps.methods.as_es.variants import Variant
from smallsteps.methods.baselines.method import direct_tokens, train_direct
from smallsteps.records import Chain, Prediction, Problem, Segment
from smallsteps.segments.strategies import get_strategy, needs_trained_scorer
from smallsteps.students.loading import load, load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import write_rows

Cut = dict[str, list[Segment]]
"""Rationale id → its segments."""


@dataclass
class Stages:
    """The run folder and all that its stages are made from."""

    recipe: Recipe
    run: RunFolder
    material: Material
    base_folder: Path | str
    """Where the untrained student lies."""
    reporter: Reporter
    budget: int | None = None
    """Training tokens an arm; None with `fair: passes`."""
    left_out: frozenset[str] = frozenset()
    """`names_of` odd chains, and of reports that hold one: no arm trains on them."""
    odd: int = 0
    """Chains that are left out because they are odd."""
    forecast: Forecast | None = None
    known: dict[str, Trained] = field(default_factory=dict)
    """Stages of training already looked at: a stage's digests take a while over large weights."""

    @property
    def task(self) -> Task:
        return self.material.task

    # ---- what an arm works on ----

    def train_chains(self, variant: Variant) -> list[Chain]:
        """The training chains: whole reports, or regions of which normal ones may be left out
        (gamma); else all."""
        return self._chains(variant, self.material.train, thin=True)

    def validation_chains(self, variant: Variant) -> list[Chain]:
        """The first validation chains, groups (reports) whole."""
        chains, limit = self.material.validation, self.recipe.train.validation_chains
        while 0 < limit < len(chains) and _same_group(chains[limit - 1], chains[limit]):
            limit += 1
        return self._chains(variant, chains[:limit])

    def problems(self, variant: Variant, problems: Sequence[Problem]) -> list[Problem]:
        """What the arm answers: regions, or whole reports."""
        return (
            self.task.wholes(problems)
            if variant.spec.whole_report and self.task.wholes
            else list(problems)
        )

    def workshop(self, variant: Variant, out: Path) -> Workshop:
        """What the arm works with."""
        return Workshop(
            recipe=self.recipe,
            task=self.task,
            seed=variant.seed,
            out=out,
            base_folder=self.base_folder,
            texts=self.material.texts,
            budget=self.budget,
            reporter=self.reporter,
            forecast=self.forecast,
            label=variant.label,
            validation_problems=[chain.problem for chain in self.validation_chains(variant)],
        )

    def _chains(self, variant: Variant, chains: Sequence[Chain], thin: bool = False) -> list[Chain]:
        if variant.spec.whole_report and self.task.whole_chains:
            chosen = self.task.whole_chains(chains)
        elif thin and self.task.select:
            chosen = self.task.select(chains, variant.gamma, self.recipe.data.split_seed)
        else:
            chosen = list(chains)
        # after the choice, so that the others are the same whatever is left out
        return [chain for chain in chosen if not self.left_out & set(names_of(chain))]

    # ---- before the first arm ----

    def tokens_of_direct(self, variant: Variant) -> int:
        """Training tokens that the recipe's passes over the chains cost the direct arm."""
        direct = variant.direct()
        one = direct_tokens(self.workshop(direct, self.run.path), self.train_chains(direct))
        return round(self.recipe.train.passes * one)

    def check_room(
        self, everything: Sequence[Variant], sets: Sequence[tuple[Task, list[Problem]]]
    ) -> None:
        """Raises DataError where a question to be answered is longer than the student reads."""
        workshop = self.workshop(everything[0], self.run.path)
        student = prepare(
            workshop.base(), self.task, path="uni", cue=not workshop.causal, texts=workshop.texts
        )
        for task, problems in sets:
            for problem in problems:
                ids = student.source_ids(task, task.render(problem), cue="ES")
                limit = workshop.solving().source_limit
                student.require_room(ids, problem.id, new_tokens=1, limit=limit)

    def test_sets(self, everything: Sequence[Variant]) -> list[tuple[Task, list[Problem]]]:
        """All problems that trained students will answer, as the arms read them."""
        test = self.material.test
        sets = [(self.task, self.problems(v, test)) for v in everything if v.spec.whole_report][:1]
        if not all(v.spec.whole_report for v in everything):
            sets += [(self.task, test), *self.material.also.values()]
        return sets

    # ---- segments ----

    def segments(self, variant: Variant) -> Cut:
        """Segments of the arm's training and validation chains."""
        strategy = variant.spec.strategy
        assert strategy is not None

        def make(folder: Path) -> None:
            train, validation = self.train_chains(variant), self.validation_chains(variant)
            if needs_trained_scorer(strategy) and self.recipe.segmentation.folds > 1:
                cut = self._cut_by_folds(variant, folder, train, validation)
            else:
                cut = self._cut(variant, folder, [*train, *validation], self.scorer(variant))
            write_rows(
                folder / "segments.jsonl",
                (s.to_row() for segments in cut.values() for s in segments),
            )

        found: Cut = {}
        for row in read_json_lines(
            self.run.stage(f"segments/{variant.segments_place}", make) / "segments.jsonl"
        ):
            own = Segment.from_row(row)
            found.setdefault(own.rationale_id, []).append(own)
        return found

    def scorer(self, variant: Variant) -> Student | None:
        """`ent`, `loss`: the direct student of lowest validation loss, with `folds` the first of
        them, which is for chains outside the training part; `ent*`: the untrained student; others
        need none."""
        if not (variant.spec.strategy and get_strategy(variant.spec.strategy).needs_student):
            return None
        if needs_trained_scorer(variant.spec.strategy):
            folds = self.recipe.segmentation.folds > 1
            return self._load_scorer(
                self._fold_scorer(variant, 0) if folds else self.trained(variant.direct())
            )
        return load_student(self.base_folder, device=self.recipe.student.device)

    def scorer_tokens(self, variant: Variant) -> int | None:
        """Training tokens of the arm's scorers, which its budget does not count; None where it
        needs none."""
        if not needs_trained_scorer(variant.spec.strategy):
            return None
        folds = self.recipe.segmentation.folds
        if folds == 1:
            return self.trained(variant.direct()).train_tokens
        return sum(self._fold_scorer(variant, fold).train_tokens for fold in range(folds))

    def _load_scorer(self, trained: Trained) -> Student:
        return load_student(trained.folder("validation_loss"), device=self.recipe.student.device)

    def _cut(
        self, variant: Variant, out: Path, chains: Sequence[Chain], scorer: Student | None
    ) -> Cut:
        strategy = variant.spec.strategy
        assert strategy is not None
        self.reporter.say(f"{variant.label}: cutting {counted(len(chains), 'chain')} by {strategy}")
        found = segment(self.workshop(variant, out), chains, strategy, variant.beta, scorer)
        return {chain.rationale.id: own for chain, own in zip(chains, found, strict=True)}

    def _cut_by_folds(
        self, variant: Variant, out: Path, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> Cut:
        """Each training chain scored by a direct student trained on the other folds; validation
        chains, which none has seen, by the first."""
        found: Cut = {}
        fold_of = self._folds(train)
        for fold in range(self.recipe.segmentation.folds):
            own = [chain for chain in train if fold_of[chain.problem.id] == fold]
            scorer = self._load_scorer(self._fold_scorer(variant, fold))
            found |= self._cut(variant, out, [*own, *(validation if fold == 0 else ())], scorer)
        return found

    def _fold_scorer(self, variant: Variant, fold: int) -> Trained:
        """The direct student that has not seen the chains of `fold`."""
        direct = variant.direct()
        train = self.train_chains(direct)
        fold_of = self._folds(train)
        rest = [chain for chain in train if fold_of[chain.problem.id] != fold]
        return self._train_direct(
            direct, f"scorers/{direct.place}-without-fold{fold}", rest, f", without fold {fold}"
        )

    def _folds(self, chains: Sequence[Chain]) -> dict[str, int]:
        """Problem id → fold; all chains of a problem, and all regions of a report, go to one."""
        groups = sorted({chain.problem.group or chain.problem.id for chain in chains})
        fold_of = {
            group: index % self.recipe.segmentation.folds for index, group in enumerate(groups)
        }
        return {
            chain.problem.id: fold_of[chain.problem.group or chain.problem.id] for chain in chains
        }

    # ---- training ----

    def trained(self, variant: Variant) -> Trained:
        """The trained arm."""
        place = f"arms/{variant.place}/training"
        if variant.spec.path == "direct":
            return self._train_direct(variant, place, self.train_chains(variant))
        if place not in self.known:
            cut = self.segments(variant)  # first, so that damage shows also where training is over

            def make(folder: Path) -> None:
                train, validation = self.train_chains(variant), self.validation_chains(variant)
                train_as_es(
                    self.workshop(variant, folder),
                    variant.spec,
                    (train, [cut[chain.rationale.id] for chain in train]),
                    (validation, [cut[chain.rationale.id] for chain in validation]),
                ).write(folder)

            self.known[place] = Trained.read(self.run.stage(place, make, keep=True))
            self._done(variant.label)
        return self.known[place]

    def _done(self, label: str) -> None:
        if self.forecast is not None:
            self.forecast.finished(label)

    def _train_direct(
        self, variant: Variant, place: str, chains: Sequence[Chain], note: str = ""
    ) -> Trained:
        if place not in self.known:

            def make(folder: Path) -> None:
                workshop = self.workshop(variant, folder)
                workshop.label += note
                train_direct(workshop, chains, self.validation_chains(variant)).write(folder)

            self.known[place] = Trained.read(self.run.stage(place, make, keep=True))
            self._done(variant.label + note)
        return self.known[place]

    # ---- answers ----

    def answers(
        self, variant: Variant, student: Path, name: str, task: Task, problems: list[Problem]
    ) -> list[Prediction]:
        """Greedy answers of the student in the folder `student` to `problems`, each with its share
        of the seconds."""

        def make(folder: Path) -> None:
            loaded = load(
                student, device=self.recipe.student.device, dtype=self.recipe.evaluation.dtype
            )
            workshop = replace(self.workshop(variant, folder), task=task)
            began = time.monotonic()
            predictions = workshop.answers(loaded, problems, f"{workshop.label}, {name}")
            seconds = round((time.monotonic() - began) / len(problems), 6)
            # the author is named by its arm: a run folder may be moved
            signed = (replace(p, seconds=seconds, author=variant.place) for p in predictions)
            write_rows(folder / "parts.jsonl", (p.to_row() for p in signed))

        folder = self.run.stage(f"arms/{variant.place}/{name}", make)
        return [Prediction.from_row(row) for row in read_json_lines(folder / "parts.jsonl")]


def names_of(chain: Chain) -> tuple[str, str]:
    """Names by which a chain can be left out: its own, and that of the report which it is or is
    part of."""
    return f"chain {chain.rationale.id}", f"report {chain.problem.group or chain.problem.id}"


def _same_group(one: Chain, other: Chain) -> bool:
    return one.problem.group is not None and one.problem.group == other.problem.group
