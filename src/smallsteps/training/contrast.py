"""Contrasts in ids: a right rationale beside other right and wrong ones of the same question.

The anchor a is the rationale that is trained; p (positive) is another right one, n (negative) a
wrong one of the student's. A contrast is usable if it has both; p and n are drawn afresh each time,
among at most ten and four. Batches are in `contrast_batches.py`, losses in `contrast_losses.py`.

An AS-ES student is compared in its last segment; an encoder-decoder then reads a source of its own
for each of the three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallsteps.records import Kind
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded

MAX_POSITIVES, MAX_NEGATIVES = 10, 4
"""Maximum number that is drawn from, per question (the authors' code)."""

RationaleParts = tuple[tuple[Kind | None, str], ...]
"""A rationale as its student writes it: one whole chain of kind None, or segments."""


@dataclass(frozen=True)
class Contrast:
    """What a right rationale is compared with: rationales of the same question."""

    question: str
    """As the task renders it."""
    positives: tuple[RationaleParts, ...]
    """Other right rationales, in other words."""
    negatives: tuple[RationaleParts, ...]
    """Wrong ones."""


@dataclass(frozen=True, slots=True)
class EncodedRationale:
    """One rationale in ids: what is read before it, and the rationale with its end."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ContrastItem:
    """Rationales read together, the anchor first: (a, p, n), or (a, n) for losses over pairs.
    Causal students: all have the same source."""

    rationales: tuple[EncodedRationale, ...]

    @property
    def source(self) -> tuple[int, ...]:
        """Every different source once. With `target`, the lengths by which batches are cut."""
        sources = dict.fromkeys(rationale.source for rationale in self.rationales)
        return tuple(token for source in sources for token in source)

    @property
    def target(self) -> tuple[int, ...]:
        """All targets, one after another."""
        return tuple(token for rationale in self.rationales for token in rationale.target)

    @property
    def tokens(self) -> int:
        """Tokens that go through the model. The budget counts only the anchor and its source."""
        return len(self.source) + len(self.target)


@dataclass(frozen=True)
class EncodedContrast:
    """A contrast in ids."""

    positives: tuple[EncodedRationale, ...]
    negatives: tuple[EncodedRationale, ...]

    @property
    def usable(self) -> bool:
        """Whether it has a right and a wrong rationale."""
        return bool(self.positives and self.negatives)

    def draw(self, seed: int, update: int, place: int) -> tuple[EncodedRationale, EncodedRationale]:
        """(positive, negative) of the item at `place` of `update`: depends on its arguments
        alone."""
        random = np.random.default_rng((seed, update, place))
        positive = self.positives[random.integers(len(self.positives))]
        return positive, self.negatives[random.integers(len(self.negatives))]


def encode_contrast(
    student: Student, task: Task, contrast: Contrast, limit: int | None
) -> EncodedContrast:
    """The first positives and negatives in ids, without those of more than `limit` tokens."""

    def encode_all(rationales: Sequence[RationaleParts]) -> tuple[EncodedRationale, ...]:
        encoded = [
            encode_rationale(student, task, contrast.question, parts) for parts in rationales
        ]
        return tuple(r for r in encoded if limit is None or len(r.target) <= limit)

    return EncodedContrast(
        encode_all(contrast.positives[:MAX_POSITIVES]),
        encode_all(contrast.negatives[:MAX_NEGATIVES]),
    )


def encode_rationale(
    student: Student, task: Task, question: str, parts: RationaleParts
) -> EncodedRationale:
    """The ids of one rationale: a whole chain; of segments an encoder-decoder's last one after the
    earlier ones, and a causal student's all, with their markers."""
    kind, text = parts[-1]
    if kind is None:
        source = student.source_ids(task, question)
        return EncodedRationale(tuple(source), tuple(student.target_ids(task, text, last=True)))
    segments = [(kind or "ES", text) for kind, text in parts]
    if student.architecture == "encoder-decoder":
        source = student.source_ids(task, question, segments[:-1])
        return EncodedRationale(tuple(source), tuple(student.target_ids(task, text, last=True)))
    ids, is_target = student.chain_ids(task, question, segments)
    first = is_target.index(True)
    return EncodedRationale(tuple(ids[:first]), tuple(ids[first:]))


def anchor(row: Encoded) -> EncodedRationale:
    """The rationale that `row` trains; a causal row begins with its question."""
    first = 0 if row.source else row.counted.index(True)
    return EncodedRationale(row.source or row.target[:first], row.target[first:])
