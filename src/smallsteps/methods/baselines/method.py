"""Direct chain-of-thought fine-tuning: read the question, write the whole chain. The baseline of
every comparison.

Also the student that scores sub-sentences for the strategies `ent` and `loss` (Xi et al. 2024, Sec.
3.1), and, on whole reports, the extra arm `direct-report`."""

from __future__ import annotations

from collections.abc import Iterable

from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import Part, Trained
from smallsteps.records import Chain, Example
from smallsteps.segments.examples import iter_examples
from smallsteps.streams import Stream
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare


def train_direct(job: TrainingJob, chains: Iterable[Chain], validation: Iterable[Chain]) -> Trained:
    """Q → R, one model, the whole budget."""
    part = direct_part(job, chains, validation)
    return job.train_one(part.student, part.train, part.validation)


def direct_part(job: TrainingJob, chains: Iterable[Chain], validation: Iterable[Chain]) -> Part:
    """The model and its examples, a whole chain each. Chains are read again at each pass."""

    def examples_of(part: Iterable[Chain]) -> Stream[Example]:
        return Stream(lambda: iter_examples(part, [], job.task, "direct"))

    return Part(direct_student(job), examples_of(chains), examples_of(validation))


def direct_student(job: TrainingJob) -> Student:
    """The base student, able to write the task's text; not trained yet."""
    return prepare(job.base(), job.task, path="direct", texts=job.texts, seed=job.seed)
