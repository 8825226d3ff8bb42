"""Direct chain-of-thought fine-tuning: read the question, write the whole chain. The baseline of every comparison.

Also the student that scores sub-sentences for the strategies `ent` and `loss` (Xi et al. 2024, Sec. 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.methods.arm import Trained, Workshop
from smallsteps.records import Chain
from smallsteps.segments.examples import build_examples
from smallsteps.students.tokens import prepare


def train_direct(workshop: Workshop, chains: Sequence[Chain], validation: Sequence[Chain]) -> Trained:
    """Q → R, one model, the whole budget."""
    task = workshop.task
    student = prepare(workshop.base(), task, path="direct", texts=workshop.texts, seed=workshop.seed)
    examples = build_examples(chains, [], task, "direct")
    return workshop.train_one(student, examples, build_examples(validation, [], task, "direct"))
