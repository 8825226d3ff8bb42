"""The arm `answer-only`: question → answer sentence, without a chain, the whole budget.

Its distance to `direct` is what the chain is worth.

Targets are the task's closing with the gold answer, which the task's own extraction reads back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smallsteps.errors import DataError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome, label_of, place_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sweeps import swept_suffix
from smallsteps.experiment.trained import Part, Trained
from smallsteps.methods.baselines.config import ANSWER_ONLY, METHOD
from smallsteps.methods.baselines.direct import direct_of_as_many
from smallsteps.methods.baselines.method import direct_part, train_direct
from smallsteps.records import Chain
from smallsteps.streams import Stream, hash64
from smallsteps.tasks.base import Task


@dataclass(frozen=True)
class AnswerOnlyArm:
    """A student that answers at once."""

    selection: ChainSelection = field(default_factory=ChainSelection)
    swept: tuple[str, ...] = ()
    """Settings of a sweep whose values stand in the name."""
    method: str = METHOD.name

    @property
    def name(self) -> str:
        return ANSWER_ONLY + swept_suffix(self.swept, vars(self.selection))

    def against(self, names: Sequence[str]) -> list[str]:
        return direct_of_as_many(self.selection, self.swept, names)

    def parts(
        self, job: TrainingJob, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> list[Part]:
        return [direct_part(job, *(answers_alone(part, job.task) for part in (train, validation)))]

    def trainings(self, recipe: Recipe, seed: int) -> Sequence[tuple[ChainArm, str]]:
        return [(self, label_of(self.name, seed))]

    def train(self, lab: Lab, seed: int) -> Trained:
        """The trained student."""
        label = label_of(self.name, seed)

        def make(folder: Path) -> Trained:
            train = answers_alone(lab.train_chains(self.selection), lab.task)
            validation = answers_alone(lab.validation_chains(self.selection), lab.task)
            job = lab.chain_job(self.selection, seed, folder, label)
            return train_direct(job, train, validation)

        return lab.train_once(f"arms/{place_of(self.name, seed)}/training", label, make)

    def run(self, lab: Lab, seed: int) -> Outcome:
        outcome = lab.outcome(self.name, seed, self.selection, self.train(lab, seed))
        return replace(outcome, writes_chains=False)


def answers_alone(chains: Iterable[Chain], task: Task) -> Stream[Chain]:
    """The chains with their answer sentence for a rationale: the first chain of each problem.

    A pass over them raises DataError where an answer is missing or is not read back."""

    def answers() -> Iterator[Chain]:
        seen: set[int] = set()
        for chain in chains:
            key = hash64(chain.problem.id)
            if key not in seen:
                seen.add(key)
                yield _answer_alone(chain, task)

    return Stream(answers)


def _answer_alone(chain: Chain, task: Task) -> Chain:
    try:
        text = task.close("", task.gold(chain.problem), chain.problem)
    except DataError as error:
        raise DataError(f"{chain.rationale.id}: {error}") from None
    return Chain(chain.problem, replace(chain.rationale, text=text, gold=()))
