"""Causal passes for GPUs: prompts in padded batches, and steps that are recorded once and repeated.

A small model's step on a GPU is some hundred short kernels, and starting each takes longer than
running it. A CUDA graph starts them all at once. It needs tensors that stay where they are and
shapes that do not change: rows sit in fixed seats (`seat_cache.py`), and a step computes a fixed
number of seats and columns, empty ones included. On a CPU the same passes run unrecorded, for
tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smallsteps.generation.causal_cache import RowCache
from smallsteps.generation.seat_cache import SeatCache, SeatRow
from smallsteps.students.llama import LlamaRunner
from smallsteps.students.llama_seats import read_seats, step_seats, table
from smallsteps.students.padding import pad

PREFILL_TOKENS = 16384
"""Maximum number of padded tokens that entering rows read at a time."""
LEAST_ROWS = 8
"""Rows that a step computes at least; then 32, 128, ..., and at most all seats."""
WARM_UP = 2
"""Steps before a recording, in which libraries choose their kernels."""


@dataclass
class Recording:
    """A step of so many rows, and the tensors that it reads and writes."""

    inputs: Tensor
    """Tokens and lengths, [2, rows]."""
    logits: Tensor
    """[rows, vocab], overwritten by each step."""
    replay: Callable[[], object]


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
        recording = cache.recordings.get(rows)
        empty = [0] * (rows - len(tokens))
        inputs = torch.tensor([[*tokens, *empty], [*cache.lengths, *empty]])
        if recording is None:
            recording = self._record(inputs.to(self.device), states)
            cache.recordings[rows] = recording
        else:
            recording.inputs.copy_(inputs, non_blocking=True)
            recording.replay()
        return recording.logits[: len(tokens)]

    def _record(self, inputs: Tensor, states: Tensor) -> Recording:
        """Makes the step, and a recording of it. A step may be made again: it writes the same."""
        rows = inputs.shape[1]
        angles = table(self.runner, states.shape[4])
        used = states[:, :, :rows]

        def run() -> Tensor:
            return step_seats(self.runner, inputs[0], inputs[1], used, angles)

        if self.device.type != "cuda":
            logits = run()
            return Recording(inputs, logits, lambda: logits.copy_(run()))
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                run()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = run()
        graph.replay()
        return Recording(inputs, logits, graph.replay)


def computed_rows(rows: int) -> int:
    """How many rows a step of so many rows computes: few sizes, so that few steps are recorded.

    >>> [computed_rows(rows) for rows in (1, 8, 9, 100)]
    [8, 8, 32, 128]
    """
    computed = LEAST_ROWS
    while computed < rows:
        computed *= 4
    return computed


def _joined(caches: Sequence[RowCache | None], width: int) -> Tensor:
    """The states of all rows, right-aligned, in one tensor of `width` columns."""
    given = [cache for cache in caches if isinstance(cache, SeatRow)]
    layers, two, heads, _, d = given[0].states.shape
    states = given[0].states.new_zeros(layers, two, len(caches), heads, width, d)
    for n, cache in enumerate(caches):
        if isinstance(cache, SeatRow):
            states[:, :, n, :, width - cache.length :] = cache.states
    return states
