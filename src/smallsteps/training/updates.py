"""The updates of a training: what each one trains, as rows, contrast items and tensors.

A row that has a usable contrast is trained as an item, in one pass with a right and a wrong
rationale drawn for it. All members of an update share one normaliser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Batch, Encoded, collate
from smallsteps.training.contrast import Contrast, ContrastItem, anchor, encode_contrast
from smallsteps.training.contrast_batches import ContrastBatch, collate_pairs, collate_sequences
from smallsteps.training.contrast_losses import ContrastLoss
from smallsteps.training.losses import SummedLoss
from smallsteps.training.packing import collate_packed
from smallsteps.training.preflight import Checked
from smallsteps.training.settings import ContrastSettings, TrainSettings


@dataclass(frozen=True)
class TrainingInputs:
    """What is trained on what, and how."""

    student: Student
    task: Task
    checked: Checked
    settings: TrainSettings
    contrasts: Mapping[str, Contrast]
    """Example id → what its rationale is compared with."""
    contrast_settings: ContrastSettings


@dataclass(frozen=True)
class Update:
    """What one update trains."""

    number: int
    """Counted from 0."""
    members: list[Encoded | ContrastItem]
    normaliser: float
    """The summed loss is divided by it."""
    usable: int
    """Number of contrast items among the members."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row, without its contrasts."""
        return max(_anchor_tokens(member) for member in self.members)

    @property
    def tokens(self) -> int:
        """Tokens that go through the model, contrasts included."""
        return sum(member.tokens for member in self.members)


def _anchor_tokens(member: Encoded | ContrastItem) -> int:
    if isinstance(member, Encoded):
        return member.tokens
    first = member.rationales[0]
    return len(first.source) + len(first.target)


class Updates:
    """The updates of a job's plan, and their tensors."""

    def __init__(self, job: TrainingInputs) -> None:
        self.job = job
        student = job.student
        self.start_id = student.start_id if student.architecture == "encoder-decoder" else None
        encoded = {
            name: encode_contrast(student, job.task, contrast, job.settings.target_limit)
            for name, contrast in job.contrasts.items()
        }
        self.contrasts = {name: contrast for name, contrast in encoded.items() if contrast.usable}

    @property
    def dtype(self) -> torch.dtype:
        """Of the arithmetic."""
        return torch.bfloat16 if self.job.settings.dtype == "bfloat16" else torch.float32

    def loss_model(self, model: nn.Module | None = None) -> SummedLoss:
        """`model` (None: the student's) with its loss inside; with usable contrasts, both
        losses."""
        model = self.job.student.model if model is None else model
        settings = self.job.contrast_settings
        if not self.contrasts:
            return SummedLoss(model, self.dtype, compile_head=self.job.settings.compile)
        return ContrastLoss(
            model,
            self.dtype,
            kind=settings.contrast,
            margin=settings.triplet_margin,
            state=settings.triplet_state,
            compile_head=self.job.settings.compile,
            beta=settings.dpo_beta,
        )

    def update(self, number: int) -> Update:
        """What update `number` trains: depends on the job and the number alone."""
        checked = self.job.checked
        rows = [checked.train[index] for index in checked.plan.members(number)]
        items = [self._item(row, number, place) for place, row in enumerate(rows)]
        return Update(
            number,
            [row if item is None else item for row, item in zip(rows, items, strict=True)],
            self.weight(rows),
            sum(item is not None for item in items),
        )

    def _item(self, row: Encoded, update: int, place: int) -> ContrastItem | None:
        """The row with a right and a wrong rationale drawn for it; None without usable ones."""
        contrast = self.contrasts.get(row.example_ids[-1])
        if contrast is None:
            return None
        positive, negative = contrast.draw(self.job.checked.plan.seed, update, place)
        if self.job.contrast_settings.contrast == "triplet":
            return ContrastItem((anchor(row), positive, negative))
        return ContrastItem((anchor(row), negative))

    def weight(self, rows: Sequence[Encoded]) -> float:
        """What the summed loss of `rows` is divided by."""
        settings = self.job.contrast_settings
        all_tokens = settings.normaliser == "all-tokens"
        return sum(row.weight(settings.prompt_weight, all_tokens) for row in rows)

    def batch(self, rows: Sequence[Encoded]) -> Batch:
        """The tensors of some rows, on the CPU."""
        return collate(rows, self.start_id, self.job.contrast_settings.prompt_weight)

    def packed_batch(self, rows: Sequence[Encoded]) -> Batch:
        """The tensors of some rows of a causal student in one sequence, on the CPU."""
        return collate_packed(rows, self.job.contrast_settings.prompt_weight)

    def contrast_batch(
        self, items: Sequence[ContrastItem], one_pass: bool = False
    ) -> ContrastBatch:
        """The tensors of some items, on the CPU. one_pass: they go through every part of the model
        once."""
        if self.start_id is None:
            return collate_sequences(items, self.job.contrast_settings.prompt_weight)
        return collate_pairs(items, self.start_id, self.job.student.device.type, one_pass)
