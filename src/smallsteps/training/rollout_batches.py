"""A step's rollouts in micro-batches: as they are read before its updates, and as the updates go
through them.

Where memory runs out on the way (`memory.py`), what was read stays and is cut anew: after the first
update of a step the student is another one, and would read something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smallsteps.training.batches import Encoded, micro_batches
from smallsteps.training.estimators import Advantages
from smallsteps.training.policy import Tokens

NOWHERE = -1
"""Place of a row that does not count."""


@dataclass(frozen=True)
class _Row:
    """Something about a sequence, as long as it."""

    encoded: Encoded

    @property
    def source(self) -> Sequence[int]:
        return self.encoded.source

    @property
    def target(self) -> Sequence[int]:
        return self.encoded.target


@dataclass(frozen=True)
class WrittenRow(_Row):
    """A rollout with a token."""

    place: int
    """Among all rollouts of the step."""


@dataclass(frozen=True)
class ReadBatch:
    """Rollouts that go through the model together, and what was read of them before the updates."""

    places: list[int]
    """Place of each among all rollouts of the step."""
    rows: list[Encoded]
    old: Tensor
    """Log-probability of each written token under the student, float32 [tokens]."""
    reference: Tensor
    """The same under the frozen reference."""
    values: Tensor | None
    """Value of each token, with a value head."""

    @property
    def lengths(self) -> list[int]:
        """Written tokens of each rollout."""
        return [row.loss_tokens for row in self.rows]

    @property
    def counts(self) -> bool:
        """False: this pass is made only because other processes make one."""
        return self.places != [NOWHERE]


class Known(NamedTuple):
    """What the estimate needs of one rollout."""

    place: int
    length: int
    log_ratio: float
    """log pi - log pi_ref, nats."""
    values: Tensor | None
    """Of its tokens, on the CPU, with a value head."""


def known_of(batch: ReadBatch) -> list[Known]:
    """What is known of the rollouts of a batch."""
    ratios = [d.sum().float().item() for d in (batch.old - batch.reference).split(batch.lengths)]
    values: Sequence[Tensor | None] = [None] * len(ratios)
    if batch.values is not None:
        values = batch.values.cpu().split(batch.lengths)
    return [Known(*row) for row in zip(batch.places, batch.lengths, ratios, values, strict=True)]


@dataclass(frozen=True)
class LearnBatch:
    """Rollouts that go through the model together in an update."""

    rows: list[Encoded]
    tokens: Tokens
    """What is fixed of their tokens."""
    counts: bool = True
    """As in `ReadBatch`."""


@dataclass(frozen=True)
class _LearnRow(_Row):
    """One rollout of a `LearnBatch`."""

    tokens: Tokens


@dataclass(frozen=True)
class LearnBatches:
    """All that a process learns from in a step."""

    batches: list[LearnBatch]
    limit: int
    """Padded tokens of a batch at most."""

    def within(self, limit: int, device_type: str) -> LearnBatches:
        """The same rollouts in batches of at most `limit` padded tokens, all of which count."""
        if limit == self.limit:
            return self
        rows = [row for batch in self.batches for row in _rows_of(batch)]
        cut = micro_batches(rows, limit, device_type)
        return LearnBatches([_joined(chosen) for chosen in cut], limit)


def _rows_of(batch: LearnBatch) -> list[_LearnRow]:
    lengths = [row.loss_tokens for row in batch.rows]
    parts = zip(*(figures.split(lengths) for figures in batch.tokens), strict=True)
    return [
        _LearnRow(encoded, Tokens(*of_row))
        for encoded, of_row in zip(batch.rows, parts, strict=True)
    ]


def _joined(rows: Sequence[_LearnRow]) -> LearnBatch:
    figures = zip(*(row.tokens for row in rows), strict=True)
    return LearnBatch([row.encoded for row in rows], Tokens(*map(torch.cat, figures)))


def estimated_batches(
    estimated: Advantages, before: int, batches: Sequence[ReadBatch]
) -> list[LearnBatch]:
    """The batches with the estimate of all tokens; before: number of tokens of other processes that
    stand before this one's. Nothing is to be learnt from a batch that does not count."""
    learnt = []
    for batch in batches:
        none = torch.zeros_like(batch.old)
        tokens = Tokens(batch.old, batch.reference, none, none, none)
        if batch.counts:
            part = slice(before, before + len(batch.old))
            before += len(batch.old)
            returns = none if estimated.returns is None else estimated.returns[part].to(batch.old)
            tokens = tokens._replace(
                advantages=estimated.advantages[part].to(batch.old),
                weights=estimated.weights[part].to(batch.old),
                returns=returns,
            )
        learnt.append(LearnBatch(batch.rows, tokens, batch.counts))
    return learnt
