"""Steps of T5 and mT5 students for GPUs, recorded once and repeated: what `T5Session` asks of a
runner, over rows in fixed seats.

Sources are encoded by `T5Runner`; the arithmetic of a step is in `students/t5_seats.py`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from smallsteps.generation.recording import LEAST_ROWS, Recording, computed_rows, record
from smallsteps.students.t5 import T5Runner
from smallsteps.students.t5_seats import bias_by_distance, step_seats

COLUMN_STEP, SOURCE_STEP = 128, 128
"""Seats have room for a multiple of so many steps and source tokens: each other number is another
recording."""


class GraphT5:
    """Rows in the first `slots` of fixed seats."""

    def __init__(self, runner: T5Runner, seats: int) -> None:
        """seats: rows that may be under way."""
        self.runner = runner
        self.seats = max(seats, LEAST_ROWS)
        self.slots = 0
        self.written = [0] * self.seats
        """Steps of each seat's row."""
        self.read = [1] * self.seats
        """Source length of each seat; at least 1, so that an empty one has something to attend
        to."""
        self.past = self._empty(0)
        self.cross = self._empty(0)
        self.recordings: dict[int, Recording] = {}
        """Of steps on `past` and `cross`, by rows."""

    def _empty(self, columns: int) -> Tensor:
        """Keys and values [layers, 2, seats, heads, columns, d_kv]."""
        runner = self.runner
        shape = (len(runner.decoder), 2, self.seats, runner.heads, columns, runner.d_kv)
        return torch.zeros(shape, dtype=runner.dtype, device=runner.device)

    def _with_columns(self, states: Tensor, columns: int) -> Tensor:
        wider = self._empty(columns)
        wider[..., : states.shape[4], :] = states
        self.recordings.clear()
        return wider

    def encode(self, sources: Sequence[Sequence[int]]) -> list[Tensor]:
        """As `T5Runner.encode`."""
        return self.runner.encode(sources)

    def open(self, slots: int) -> None:
        """`slots` empty seats."""
        self.leave(range(self.seats))
        self.slots = slots

    def grow(self, slots: int) -> None:
        """Adds empty seats up to `slots`."""
        self.slots = slots

    def enter(self, slots: Sequence[int], keys_values: Sequence[Tensor]) -> None:
        """Puts encoded sources (of `encode`) into `slots`, whose rows start at their column 0."""
        longest = max(len(row) for row in keys_values)
        if self.cross.shape[4] < longest:
            self.cross = self._with_columns(self.cross, -(-longest // SOURCE_STEP) * SOURCE_STEP)
        shape = (len(self.runner.decoder), 2, self.runner.heads, self.runner.d_kv)
        for slot, row in zip(slots, keys_values, strict=True):
            # what an earlier row left beyond this one's length is masked
            self.cross[:, :, slot, :, : len(row)] = row.view(-1, *shape).permute(1, 2, 3, 0, 4)
            self.read[slot], self.written[slot] = len(row), 0

    def leave(self, slots: Sequence[int]) -> None:
        """Empties `slots`."""
        for slot in slots:
            self.read[slot], self.written[slot] = 1, 0

    def keep(self, slots: Sequence[int]) -> None:
        """Goes on with `slots` alone, in that order."""
        index = torch.as_tensor(slots, device=self.runner.device)
        for states in (self.past, self.cross):
            states[:, :, : len(slots)] = states[:, :, index]
        self.read[: len(slots)] = [self.read[slot] for slot in slots]
        self.written[: len(slots)] = [self.written[slot] for slot in slots]
        self.leave(range(len(slots), self.slots))
        self.slots = len(slots)

    def step(self, tokens: Sequence[int], active: Sequence[int]) -> Tensor:
        """Logits [slots, vocab] after each slot has read its token, overwritten by the next step.
        Slots not in `active` give garbage."""
        columns = max(self.written[: self.slots]) + 1
        if self.past.shape[4] < columns:
            self.past = self._with_columns(self.past, -(-columns // COLUMN_STEP) * COLUMN_STEP)
        rows = min(self.seats, computed_rows(self.slots))
        empty = [0] * (rows - self.slots)
        inputs = torch.tensor([[*tokens, *empty], self.written[:rows], self.read[:rows]])
        if rows in self.recordings:
            logits = self.recordings[rows].step(inputs)
        else:
            self.recordings[rows] = self._recorded(inputs.to(self.runner.device))
            logits = self.recordings[rows].logits
        for slot in active:
            self.written[slot] += 1
        return logits[: self.slots]

    def _recorded(self, inputs: Tensor) -> Recording:
        rows = inputs.shape[1]
        past, cross = self.past[:, :, :rows], self.cross[:, :, :rows]
        bias = bias_by_distance(self.runner, past.shape[4])

        def run(inputs: Tensor) -> Tensor:
            tokens, written, read = inputs
            return step_seats(self.runner, tokens, written, read, past, cross, bias)

        return record(inputs, run)
