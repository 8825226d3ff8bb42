"""Rows of unequal length as one tensor: the only padding in the package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def pad(
    rows: Sequence[Sequence[int]], fill: int = 0, width: int | None = None, left: bool = False
) -> tuple[Tensor, Tensor]:
    """(`rows` filled up with `fill`, mask of the real places), both int64 [rows, width] on the CPU.

    width: None takes the longest row. left: pad on the left. The mask comes from lengths, never
    from the padding id, which may be a real token as well.

    >>> pad([[5, 6], [7]])[0].tolist()
    [[5, 6], [7, 0]]
    >>> pad([[5, 6], [7]], left=True)[1].tolist()
    [[1, 1], [0, 1]]
    """
    lengths = np.asarray([len(row) for row in rows])
    width = int(lengths.max()) if width is None else width
    ids = np.full((len(rows), width), fill, dtype=np.int64)
    for number, row in enumerate(rows):
        start = width - len(row) if left else 0
        ids[number, start : start + len(row)] = row
    places = np.arange(width)
    real = places >= width - lengths[:, None] if left else places < lengths[:, None]
    return torch.from_numpy(ids), torch.from_numpy(real.astype(np.int64))
