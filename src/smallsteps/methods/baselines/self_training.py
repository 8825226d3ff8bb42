"""The arm `self-training`: the student learns from its own right chains, without a teacher.

    round r: the last student (first the `direct` one) answers its training questions several times
             -> its right chains that go new ways (`own_chains`), added to those of earlier rounds
             -> the BASE student is trained on the gold chains and all of them

Training starts from the base in every round, on gold chains and own ones together, as in rejection
sampling fine-tuning (RFT, Yuan et al. 2023). STaR (Zelikman et al. 2022) and ReST-EM (Singh et al.
2023) restart from the base too, because students that are trained further on their own output
overfit and forget. They repeat the round, and ReST-EM caps the chains of a question, as here.
Unlike these two we keep the gold chains: every arm of a comparison has them.

    arms/self-training-seed<k>/round-<r>/chains/block-<n>/own.jsonl   the student's own chains
    arms/self-training-seed<k>/round-<r>/training/                    the student of the round

The arm's figure is that of the round that was best on validation. Its training has the budget of
every other arm; the trainings before it and beside it are `other_tokens`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome, label_of, place_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sampled import Sampled
from smallsteps.experiment.sweeps import swept_suffix
from smallsteps.experiment.trained import Part, Trained
from smallsteps.generation.generator import NO_CAP, Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.methods.baselines.config import METHOD, SELF_TRAINING, BaselinesSettings
from smallsteps.methods.baselines.direct import DirectArm, direct_of_as_many
from smallsteps.methods.baselines.method import direct_part
from smallsteps.methods.baselines.own_chains import OwnChains, add_own, sample_own
from smallsteps.methods.baselines.results import SelfTrainingResult
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.streams import Stream, joined
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.training.odd import chain_of, odd_chains


@dataclass(frozen=True)
class SelfTrainingRound:
    """One round at one seed."""

    number: int
    trained: Trained
    written: Sequence[OwnChains]
    """What the student before it wrote."""
    kept: int
    """The student's own chains that were trained on, of all rounds so far."""

    @property
    def generated_tokens(self) -> int:
        return sum(record.tokens for record in self.written)


@dataclass(frozen=True)
class SelfTrainingArm:
    """A student that learns from its own right chains too."""

    selection: ChainSelection = field(default_factory=ChainSelection)
    swept: tuple[str, ...] = ()
    """Settings of a sweep whose values stand in the name."""
    method: str = METHOD.name

    @property
    def name(self) -> str:
        return SELF_TRAINING + swept_suffix(self.swept, vars(self.selection))

    def against(self, names: Sequence[str]) -> list[str]:
        return direct_of_as_many(self.selection, self.swept, names)

    def parts(
        self, job: TrainingJob, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> list[Part]:
        """The model of a round. The student's own chains are not written yet; the gold chains stand
        for them."""
        return [direct_part(job, train, validation)]

    def trainings(self, recipe: Recipe, seed: int) -> Sequence[tuple[ChainArm, str]]:
        """The direct student, and one training for each round."""
        rounds = range(1, recipe.section(BaselinesSettings).rounds + 1)
        own: list[tuple[ChainArm, str]] = [(self, self._label(seed, n)) for n in rounds]
        return [*self._direct().trainings(recipe, seed), *own]

    def run(self, lab: Lab, seed: int) -> Outcome:
        direct = self._direct().train(lab, seed)
        rounds = self.rounds(lab, seed, direct)
        chosen = best_round(rounds)
        trained = direct if chosen is None else chosen.trained
        others = [direct, *(each.trained for each in rounds if each is not chosen)]
        cost = {
            "round": 0 if chosen is None else chosen.number,
            "generated_tokens": sum(each.generated_tokens for each in rounds),
            "other_tokens": sum(each.train_tokens for each in others if each is not trained),
        }
        outcome = lab.outcome(self.name, seed, self.selection, trained)
        return replace(outcome, cost={**outcome.cost, **cost}, detail=rounds)

    def _direct(self) -> DirectArm:
        """Whole chains of the same selection: whose student writes first."""
        return DirectArm(self.selection, self.swept)

    # ---- rounds ----

    def rounds(self, lab: Lab, seed: int, direct: Trained) -> list[SelfTrainingRound]:
        """The rounds at one seed. They end where a student writes no right chain that goes a new
        way: the next training would be the last one again."""
        settings = lab.recipe.section(BaselinesSettings)
        gold = lab.train_chains(self.selection)
        sampler, kept = direct, dict[str, list[str]]()
        rounds: list[SelfTrainingRound] = []
        for number in range(1, settings.rounds + 1):
            written = self._written(lab, seed, number, sampler)
            before, kept = kept, add_own(kept, written, gold, settings.most_chains)
            if kept == before:
                lab.reporter.say(
                    f"{self._label(seed, number)}: no right chain goes a new way; the rounds end"
                )
                self._skip(lab, seed, range(number, settings.rounds + 1))
                break
            sampler = self._trained(lab, seed, number, gold, own_rationales(kept, gold))
            count = sum(map(len, kept.values()))
            rounds.append(SelfTrainingRound(number, sampler, written, count))
        return rounds

    def _written(self, lab: Lab, seed: int, number: int, sampler: Trained) -> list[OwnChains]:
        """What the student `sampler` writes for the questions of its training chains."""
        settings = lab.recipe.section(BaselinesSettings)
        decoding = Decoding(
            max_new_tokens=NO_CAP, temperature=settings.temperature, seed=seed * 1000 + number
        )

        def load() -> Student:
            folder = sampler.folder(lab.recipe.evaluation.checkpoint)
            evaluation, device = lab.recipe.evaluation, lab.recipe.student.device
            return load_student(folder, device=device, dtype=evaluation.dtype)

        def ask(
            student: Student,
            problems: Sequence[Problem],
            solving: SolveSettings,
            progress: Callable[[int], None],
        ) -> list[OwnChains]:
            return sample_own(student, problems, lab.task, decoding, solving, progress)

        chains = lab.train_chains(self.selection)
        problems = list({chain.problem.id: chain.problem for chain in chains}.values())
        label = f"sampling {self._label(seed, number)}"
        sampled = Sampled(lab, load, settings.samples, label)
        rows = sampled.rows(f"{self._place(seed, number)}/chains", "own", problems, ask)
        return [OwnChains.from_row(row) for row in rows]

    def _trained(
        self, lab: Lab, seed: int, number: int, gold: Sequence[Chain], own: Sequence[Chain]
    ) -> Trained:
        """The base student trained on gold chains and own ones. Own chains that are too long to be
        trained on are left out."""
        label = self._label(seed, number)

        def make(folder: Path) -> Trained:
            job = lab.chain_job(self.selection, seed, folder, label, searched_as=self.name)
            part = direct_part(job, joined(gold, own), lab.validation_chains(self.selection))
            ids = {chain.rationale.id for chain in own}
            examples = (example for example in part.train if chain_of(example) in ids)
            odd = {o.chain for o in odd_chains(part.student, examples, job.task, job.settings())}
            train = Stream(
                lambda: (example for example in part.train if chain_of(example) not in odd)
            )
            lab.reporter.say(
                f"{label}: {len(gold):,} gold chains and {len(ids - odd):,} of its own"
            )
            return job.train_one(part.student, train, part.validation)

        return lab.train_once(f"{self._place(seed, number)}/training", label, make)

    def _skip(self, lab: Lab, seed: int, numbers: Iterable[int]) -> None:
        """Takes trainings that will not be made out of the forecast."""
        if lab.forecast is not None:
            for number in numbers:
                lab.forecast.finished(self._label(seed, number))

    def _place(self, seed: int, number: int) -> str:
        return f"arms/{place_of(self.name, seed)}/round-{number}"

    def _label(self, seed: int, number: int) -> str:
        return f"{label_of(self.name, seed)}, round {number}"


def own_rationales(kept: dict[str, list[str]], gold: Sequence[Chain]) -> list[Chain]:
    """The student's own texts as chains of their problems, in the order of the gold chains."""
    problems = {chain.problem.id: chain.problem for chain in gold}
    return [
        Chain(
            problem,
            Rationale(f"{id}/own-{n}", id, text, author=SELF_TRAINING, correct=True),
        )
        for id, problem in problems.items()
        for n, text in enumerate(kept.get(id, ()))
    ]


def best_round(rounds: Sequence[SelfTrainingRound]) -> SelfTrainingRound | None:
    """The round that was best on validation, the earlier of two alike; None: there is none."""

    def figure(round: SelfTrainingRound) -> float:
        value = round.trained.validation
        return float("-inf") if value is None else value

    return max(rounds, key=lambda round: (figure(round), -round.number), default=None)


def round_results(
    arm: str, seed: int, rounds: Sequence[SelfTrainingRound]
) -> list[SelfTrainingResult]:
    """The rounds of an arm at one seed."""
    return [
        SelfTrainingResult(
            arm=arm,
            seed=seed,
            round=round.number,
            right=_right(round),
            own_chains=round.kept,
            generated_tokens=round.generated_tokens,
            train_tokens=round.trained.train_tokens,
            validation=round.trained.validation,
        )
        for round in rounds
    ]


def _right(round: SelfTrainingRound) -> float:
    samples = sum(record.samples for record in round.written)
    return 100 * sum(record.right for record in round.written) / max(1, samples)
