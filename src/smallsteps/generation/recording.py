"""A step that is recorded once and repeated: a CUDA graph, which starts all kernels of a step at
once. Starting them one by one takes longer than running them where a model is small.

A recording reads and writes tensors that stay where they are, in shapes that do not change. On a
CPU the step is made anew each time, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_ROWS = 8
"""Rows that a step computes at least; then 32, 128, ..., and at most all seats."""
WARM_UP = 2
"""Steps before a recording, in which libraries choose their kernels."""


@dataclass
class Recording:
    """A step of so many rows, and the tensors that it reads and writes."""

    inputs: Tensor
    """int64 [kinds, rows], such as tokens and lengths."""
    logits: Tensor
    """[rows, vocab], overwritten by each step."""
    replay: Callable[[], object]

    def step(self, inputs: Tensor) -> Tensor:
        """Logits of the step on these inputs, overwritten by the next."""
        self.inputs.copy_(inputs, non_blocking=True)
        self.replay()
        return self.logits


def record(inputs: Tensor, run: Callable[[Tensor], Tensor]) -> Recording:
    """Makes the step `run` on `inputs`, and a recording of it. The step is made several times: it
    must write the same each time."""
    if inputs.device.type != "cuda":
        logits = run(inputs)
        return Recording(inputs, logits, lambda: logits.copy_(run(inputs)))
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            run(inputs)
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = run(inputs)
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
