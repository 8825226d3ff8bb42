"""Rows of like length together: the only batcher by length in the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

CPU_OVERHEAD = 96
"""Cost of one more batch on a CPU, in padded tokens. Measured on two threads; the exact value
matters little."""
GPU_OVERHEAD = 8192
"""The same on a GPU, which a small model keeps waiting: starting the kernels of one batch takes as
long as thousands of tokens do."""


def batch_overhead(device_type: str) -> int:
    """Cost of one more batch on a device (`cpu`, `cuda`, ...), in padded tokens."""
    return CPU_OVERHEAD if device_type == "cpu" else GPU_OVERHEAD


Size = tuple[int, int]
"""(source tokens, target tokens) of a row; 0 for a part that it does not have."""


def batches_by_length(
    sizes: Sequence[Size],
    limit: int | None = None,
    *,
    fill: bool = False,
    overhead: int = CPU_OVERHEAD,
    key: Callable[[Size], Any] | None = None,
) -> list[list[int]]:
    """Indices of `sizes`, cut into batches of at most `limit` padded tokens (None: any number).

    Source and target are padded separately. A row above the limit is a batch of its own. Rows are
    cut in the order of `key`, by default the shortest source first. fill: fill each batch up to
    the limit (what scoring needs). Otherwise the cut is the one with the fewest padded tokens plus
    `overhead` per batch (what training needs: few rows, and backward passes cost more).

    >>> batches_by_length([(10, 10), (500, 10), (9, 9)], limit=100)
    [[2, 0], [1]]
    """
    keys = [size if key is None else key(size) for size in sizes]
    order = sorted(range(len(sizes)), key=keys.__getitem__)
    ordered = [sizes[index] for index in order]
    ends = _filled(ordered, limit) if fill else _cheapest(ordered, limit, overhead)
    return [order[start:end] for start, end in pairwise([0, *ends])]


def _filled(sizes: Sequence[Size], limit: int | None) -> list[int]:
    """Where each batch ends if every batch takes as many rows as fit."""
    ends: list[int] = []
    rows = longest_source = longest_target = 0
    for index, (source, target) in enumerate(sizes):
        longest_source = max(longest_source, source)
        longest_target = max(longest_target, target)
        padded = (rows + 1) * (longest_source + longest_target)
        if rows and limit is not None and padded > limit:
            ends.append(index)
            rows, longest_source, longest_target = 0, source, target
        rows += 1
    return [*ends, len(sizes)] if sizes else []


def _cheapest(sizes: Sequence[Size], limit: int | None, overhead: int) -> list[int]:
    """Where each batch ends in the cheapest cut; of equal ones, the one with the largest last
    batch. Dynamic programming over the number of rows."""
    sources = np.asarray([source for source, _ in sizes], dtype=np.int64)
    targets = np.asarray([target for _, target in sizes], dtype=np.int64)
    cost = np.zeros(len(sizes) + 1)  # of the first n rows
    start = [0] * (len(sizes) + 1)  # where the last batch of the first n rows begins
    for end in range(1, len(sizes) + 1):
        shortest = max(1, int(sources[end - 1] + targets[end - 1]))
        most = end if limit is None else min(end, max(1, limit // shortest))
        # candidates: the last 1, 2, ..., `most` rows up to here as one batch
        longest_source = np.maximum.accumulate(sources[end - most : end][::-1])
        longest_target = np.maximum.accumulate(targets[end - most : end][::-1])
        padded = np.arange(1, most + 1) * (longest_source + longest_target)
        if limit is not None:
            padded = padded[: max(1, int(np.searchsorted(padded, limit, side="right")))]
        costs = cost[end - np.arange(1, len(padded) + 1)] + padded + overhead
        rows = len(costs) - int(np.argmin(costs[::-1]))
        cost[end], start[end] = costs[rows - 1], end - rows
    ends = []
    end = len(sizes)
    while end:
        ends.append(end)
        end = start[end]
    return ends[::-1]
