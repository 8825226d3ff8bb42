"""The gradient of one update, from its micro-batches.

A GPU works on what is queued while Python goes on. So the tensors of the next update are made
before anything waits for this one (`prepare`), and are copied from pinned memory. The gradient is
summed over processes once all have finished theirs, so that running out of memory in one makes all
repeat the update in smaller batches. With weights in shards (`sharding.py`) FSDP sums each
micro-batch's gradient at once, and all processes make equally many passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from smallsteps.training.batches import Batch, Encoded, level, micro_batches, share
from smallsteps.training.compiling import CompiledBlocks, refusal_of
from smallsteps.training.contrast import ContrastItem
from smallsteps.training.contrast_batches import ContrastBatch
from smallsteps.training.contrast_losses import ContrastSums
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import MicroBatchSize
from smallsteps.training.packing import attending_to_rows, packed_batches
from smallsteps.training.processes import seed_of, sum_over_processes
from smallsteps.training.sharding import Shards
from smallsteps.training.updates import Update, Updates

Member = TypeVar("Member", Encoded, ContrastItem)
"""Of an update."""
Pass = tuple[Batch | ContrastBatch, float]
"""(a micro-batch on the CPU, its factor in the gradient: 0 where it is read only because other
processes make a pass)."""


def is_asynchronous(device: torch.device) -> bool:
    """Whether a device works on what it was given while Python goes on."""
    return device.type != "cpu"


@dataclass
class Gradient:
    """Sums over the micro-batches of one update, scalars and [4], on the device; the gradient
    itself lies in the model."""

    loss: Tensor
    """Language-model loss, divided by the update's normaliser."""
    contrast: Tensor
    """All but the first of `ContrastSums`."""


class Accumulator:
    """Makes the gradients of a plan's updates, in this process's share of each."""

    def __init__(
        self,
        updates: Updates,
        loss_model: SummedLoss,
        size: MicroBatchSize,
        device: torch.device,
        rank: int,
        world: int,
        shards: Shards | None = None,
        blocks: CompiledBlocks | None = None,
    ) -> None:
        """blocks: those of the model, to be compiled; None: they stay as they are."""
        self.updates, self.loss_model, self.size = updates, loss_model, size
        self.device, self.rank, self.world = device, rank, world
        self.shards, self.blocks = shards, blocks
        self._ahead: tuple[int, int, list[Pass]] | None = None
        """(update, tokens of its micro-batches at most, its passes), made before it is needed."""

    def gradient(self, number: int) -> tuple[Update, Gradient]:
        """Update `number` and the gradient that it leaves in the model, summed over processes.

        Raises TrainingError if memory does not suffice for a single sequence, or the blocks cannot
        be compiled."""
        update = self.updates.update(number)
        self.loss_model.train()

        def attempt() -> Gradient:
            self.loss_model.zero_grad()
            torch.manual_seed(seed_of(self.updates.job.checked.plan.seed, number, self.rank))
            gradient = self._accumulate(update)
            if is_asynchronous(self.device):
                self.prepare(number + 1)
            return gradient

        place = f"update {number + 1}" if self.shards else None
        gradient = self.size.fitting(attempt, update.longest, self.device, place)
        gradients = [p.grad for p in self.loss_model.parameters() if p.grad is not None]
        summed = [] if self.shards else gradients  # in shards, FSDP has summed them
        sum_over_processes([*summed, gradient.loss, gradient.contrast])
        return update, gradient

    def prepare(self, number: int) -> None:
        """Make the tensors of update `number`, if there is one, before they are needed."""
        if number < self.updates.job.checked.plan.updates:
            passes = list(self._passes(self.updates.update(number)))
            self._ahead = (number, self.size.tokens, passes)

    def _accumulate(self, update: Update) -> Gradient:
        """Forward and backward of each micro-batch of this process's members of an update."""
        gradient = Gradient(torch.zeros((), device=self.device), torch.zeros(4, device=self.device))
        try:
            with self._compiled():
                for batch, factor in self._made(update):
                    self._add(gradient, update, batch, factor)
        except RuntimeError as error:
            if (refusal := refusal_of(error)) is not None:
                raise refusal from None
            raise
        return gradient

    def _compiled(self) -> AbstractContextManager[None]:
        return nullcontext() if self.blocks is None else self.blocks.in_use()

    def _add(
        self, gradient: Gradient, update: Update, batch: Batch | ContrastBatch, factor: float
    ) -> None:
        """Forward and backward of one micro-batch."""
        if isinstance(batch, Batch):
            packed = batch.packed is not None
            with attending_to_rows(self.loss_model.model) if packed else nullcontext():
                loss = self.loss_model(batch.to(self.device)) / update.normaliser * factor
                loss.backward()
            gradient.loss += loss.detach()
            return
        sums: ContrastSums = self.loss_model(batch.to(self.device))
        settings = self.updates.job.contrast_settings
        contrast_weight = settings.contrast_weight / max(update.usable, 1)
        loss = sums.language / update.normaliser * factor
        (loss + contrast_weight * factor * sums.contrast).backward()
        gradient.loss += loss.detach()
        gradient.contrast += factor * torch.stack(
            [sums.contrast.detach(), sums.right, sums.wrong, sums.active]
        )

    def _made(self, update: Update) -> Iterator[Pass]:
        """The passes of an update: those that are there, or made one at a time."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[:2] == (update.number, self.size.tokens):
            return iter(ahead[2])
        return self._passes(update)

    def _passes(self, update: Update) -> Iterator[Pass]:
        one_pass = self.shards is not None
        packing = self.updates.job.settings.packing
        collated = self.updates.packed_batch if packing else self.updates.batch
        for rows, factor in self._micro_batches(update, Encoded):
            yield collated(rows), factor
        for items, factor in self._micro_batches(update, ContrastItem):
            yield self.updates.contrast_batch(items, one_pass), factor

    def _cut(self, members: list[Any]) -> list[list[Any]]:
        """Members of one kind in micro-batches."""
        if self.updates.job.settings.packing and members and isinstance(members[0], Encoded):
            return packed_batches(members, self.size.tokens)
        return micro_batches(members, self.size.tokens, self.device.type)

    def _micro_batches(
        self, update: Update, kind: type[Member]
    ) -> list[tuple[list[Member], float]]:
        """The micro-batches of this process's members of a kind, each with its factor in the
        gradient."""
        batches: list[list[list[Member]]] = []
        for other in range(self.world) if self.shards else [self.rank]:
            members = share(update.members, other, self.world)
            chosen = [member for member in members if isinstance(member, kind)]
            batches.append(self._cut(chosen))
        if not self.shards:
            return level(batches[0], len(batches[0]), None)
        every = [member for member in update.members if isinstance(member, kind)]
        shortest = min(every, key=lambda member: member.tokens, default=None)
        return level(batches[self.rank], max(map(len, batches)), shortest)
