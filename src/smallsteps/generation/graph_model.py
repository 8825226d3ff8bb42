"""Causal passes for GPUs: prompts in padded batches, and steps that are recorded once and repeated.

A recording (`recording.py`) needs tensors that stay where they are: rows sit in fixed seats
(`seat_cache.py`), and a step computes a fixed number of seats and columns, empty ones included."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from smallsteps.generation.causal_cache import RowCache
from smallsteps.generation.recording import LEAST_ROWS, Recording, computed_rows, record
from smallsteps.generation.seat_cache import SeatCache, SeatRow
from smallsteps.students.llama import LlamaRunner
from smallsteps.students.llama_seats import read_seats, step_seats, table
from smallsteps.students.padding import pad

PREFILL_TOKENS = 16384
"""Maximum number of padded tokens that entering rows read at a time."""


class GraphModel:
    """`CausalModel` of a Llama-class student by `LlamaRunner`'s weights."""

    read_tokens = PREFILL_TOKENS

    def __init__(self, runner: LlamaRunner, pad_id: int, seats: int) -> None:
        self.runner, self.pad_id, self.seats = runner, pad_id, seats
        self.device = runner.embedding.device

    def new_cache(self) -> SeatCache:
        """Of a batch without rows."""
        return SeatCache(max(self.seats, LEAST_ROWS))

    def padded(self, lengths: Sequence[int]) -> int:
        return max(lengths) * len(lengths)

    def read(
        self, sources: Sequence[Sequence[int]], caches: Sequence[RowCache | None]
    ) -> tuple[Tensor, list[RowCache]]:
        """Logits [rows, vocab] after each source, and each row's cache."""
        ids, _ = pad(sources, fill=self.pad_id, left=False)
        starts = [cache.length if cache else 0 for cache in caches]
        lengths = [len(source) for source in sources]
        longest = max(starts)
        logits, states = read_seats(
            self.runner,
            ids.to(self.device),
            torch.tensor(lengths, device=self.device),
            torch.tensor(starts, device=self.device),
            _joined(caches, longest) if longest else None,
        )
        rows = [
            SeatRow((), start + length, states, place=n, begin=longest - start)
            for n, (start, length) in enumerate(zip(starts, lengths, strict=True))
        ]
        return logits, list(rows)

    def step(self, tokens: Sequence[int], cache: SeatCache) -> Tensor:
        """Logits [rows, vocab] after each row has read its token; overwritten by the next step."""
        states = cache.before_token()
        rows = min(cache.seats, computed_rows(len(tokens)))
        empty = [0] * (rows - len(tokens))
        inputs = torch.tensor([[*tokens, *empty], [*cache.lengths, *empty]])
        if rows in cache.recordings:
            return cache.recordings[rows].step(inputs)[: len(tokens)]
        cache.recordings[rows] = self._recorded(inputs.to(self.device), states)
        return cache.recordings[rows].logits[: len(tokens)]

    def _recorded(self, inputs: Tensor, states: Tensor) -> Recording:
        rows = inputs.shape[1]
        angles = table(self.runner, states.shape[4])
        used = states[:, :, :rows]

        def run(inputs: Tensor) -> Tensor:
            return step_seats(self.runner, inputs[0], inputs[1], used, angles)

        return record(inputs, run)


def _joined(caches: Sequence[RowCache | None], width: int) -> Tensor:
    """The states of all rows, right-aligned, in one tensor of `width` columns."""
    given = [cache for cache in caches if isinstance(cache, SeatRow)]
    layers, two, heads, _, d = given[0].states.shape
    states = given[0].states.new_zeros(layers, two, len(caches), heads, width, d)
    for n, cache in enumerate(caches):
        if isinstance(cache, SeatRow):
            states[:, :, n, :, width - cache.length :] = cache.states
    return states
