"""Direct chain-of-thought fine-tuning: read the question, write the whole chain. The baseline of
every comparison.

Also the student that scores sub-sentences for the strategies `ent` and `loss` (Xi et al. 2024, Sec.
3.1), and, on whole reports, the extra arm `direct-report`."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import Part, Trained
from smallsteps.records import Chain
from smallsteps.segments.examples import build_examples
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare


def train_direct(job: TrainingJob, chains: Sequence[Chain], validation: Sequence[Chain]) -> Trained:
    """Q → R, one model, the whole budget."""
    part = direct_part(job, chains, validation)
    return job.train_one(part.student, part.train, part.validation)


def direct_part(job: TrainingJob, chains: Sequence[Chain], validation: Sequence[Chain]) -> Part:
    """The model and its examples, a whole chain each."""
    examples = build_examples(chains, [], job.task, "direct")
    validation_examples = build_examples(validation, [], job.task, "direct")
    return Part(direct_student(job), examples, validation_examples)


def direct_student(job: TrainingJob) -> Student:
    """The base student, able to write the task's text; not trained yet."""
    return prepare(job.base(), job.task, path="direct", texts=job.texts, seed=job.seed)
