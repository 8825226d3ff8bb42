"""Direct chain-of-thought fine-tuning: read the question, write the whole chain. The baseline of
every comparison.

Also the student that scores sub-sentences for the strategies `ent` and `loss` (Xi et al. 2024, Sec.
3.1), and, on whole reports, the extra arm `direct-report`."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.experiment.arm import Part, Trained, Workshop
from smallsteps.records import Chain
from smallsteps.segments.examples import build_examples
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare


def train_direct(
    workshop: Workshop, chains: Sequence[Chain], validation: Sequence[Chain]
) -> Trained:
    """Q → R, one model, the whole budget."""
    part = direct_part(workshop, chains, validation)
    return workshop.train_one(part.student, part.train, part.validation)


def direct_part(workshop: Workshop, chains: Sequence[Chain], validation: Sequence[Chain]) -> Part:
    """The model and its examples, a whole chain each."""
    examples = build_examples(chains, [], workshop.task, "direct")
    held_out = build_examples(validation, [], workshop.task, "direct")
    return Part(direct_student(workshop), examples, held_out)


def direct_student(workshop: Workshop) -> Student:
    """The base student, able to write the task's text; not trained yet."""
    return prepare(
        workshop.base(), workshop.task, path="direct", texts=workshop.texts, seed=workshop.seed
    )


def direct_tokens(workshop: Workshop, chains: Sequence[Chain]) -> int:
    """Training tokens of one pass over the whole chains: the measure of a budget given in
    passes."""
    return workshop.tokens(
        direct_student(workshop), build_examples(chains, [], workshop.task, "direct")
    )
