"""Keys and values of causal rows: one row's own (`RowCache`), and those of a whole batch
(`BatchCache`).

Keys carry their own positions (rotary), so a row's cache may lie anywhere on a shared time axis.
Rows are right-aligned: all end at the same column, and each masks what lies before its start. So
rows can enter, leave, and be handed back at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

SPARE_COLUMNS = 128
"""Columns added when a batch's buffers are full."""


@dataclass(frozen=True)
class RowCache:
    """What one row has read; the `PromptCache` of causal students."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each layer, each [heads, length, d]."""
    length: int

    @property
    def token_bytes(self) -> int:
        """Memory of one token's keys and values."""
        return sum(states.nbytes // states.shape[1] for layer in self.layers for states in layer)


class SharedLayer(DynamicLayer):
    """One layer's buffers [seats, heads, columns, d]; `BatchCache` moves `rows`, `front` and
    `now`."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.buffers = [keys, values]
        self.rows = self.front = self.now = 0
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes new columns of all rows from `now` on; all columns from `front` on."""
        end = self.now + key_states.shape[2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[: self.rows, :, self.now : end] = states
        keys, values = (buffer[: self.rows, :, self.front : end] for buffer in self.buffers)
        return keys, values

    def get_seq_length(self) -> int:
        return self.now - self.front


class BatchCache:
    """The caches of all rows under way. They take the first seats; a row that leaves is replaced by
    the last one, so that nothing else has to be copied."""

    def __init__(self) -> None:
        self.layers: list[SharedLayer] = []
        self.lengths: list[int] = []
        """Tokens of each row."""
        self.now = 0
        """The column at which all rows end."""

    def before_token(self) -> tuple[list[SharedLayer], Tensor, Tensor]:
        """(layers, mask, positions) for one more token of each row: the mask is
        [rows, columns + 1], positions are [rows, 1]."""
        if self.now == self.layers[0].buffers[0].shape[2]:
            self._move(0)
        front = self.now - max(self.lengths)
        for layer in self.layers:
            layer.rows, layer.front, layer.now = len(self.lengths), front, self.now
        lengths = torch.tensor(self.lengths)
        # a row of length n sees its last n columns and the one being written
        columns = torch.arange(self.now - front + 1)
        mask = (columns >= (self.now - front - lengths)[:, None]).long()
        return self.layers, mask, lengths[:, None]

    def after_token(self) -> None:
        """Counts the token that the model has written into the layers."""
        self.now += 1
        self.lengths = [length + 1 for length in self.lengths]

    def add(self, caches: Sequence[RowCache]) -> None:
        """Seats further rows behind the others."""
        longest = max(cache.length for cache in caches)
        rows = len(self.lengths)
        if not rows:
            self._open(caches[0], longest, len(caches))
        elif longest > self.now:
            self._move(longest - max(self.lengths))
        for number, layer in enumerate(self.layers):
            for which, buffer in enumerate(layer.buffers):
                missing = rows + len(caches) - len(buffer)
                if missing > 0:
                    buffer = torch.cat([buffer, buffer.new_zeros(missing, *buffer.shape[1:])])
                    layer.buffers[which] = buffer
                for row, cache in enumerate(caches, start=rows):
                    columns = slice(self.now - cache.length, self.now)
                    buffer[row, :, columns] = cache.layers[number][which]
        self.lengths += [cache.length for cache in caches]

    def drop(self, leaving: Sequence[int]) -> list[int]:
        """Empties the seats `leaving`; the last rows take them. Returns the present place of every
        row that stays, in the new order.

        >>> cache = BatchCache()
        >>> cache.lengths = [1, 2, 3, 4]
        >>> cache.drop([0, 2]), cache.lengths
        ([3, 1], [4, 2])
        """
        order = list(range(len(self.lengths)))
        for place in sorted(leaving, reverse=True):
            last = len(order) - 1
            if place < last:
                columns = slice(self.now - self.lengths[last], self.now)
                for layer in self.layers:
                    for buffer in layer.buffers:
                        buffer[place, :, columns] = buffer[last, :, columns]
                order[place], self.lengths[place] = order[last], self.lengths[last]
            order.pop()
            self.lengths.pop()
        return order

    def row(self, place: int) -> RowCache:
        """A copy of one row's cache."""
        columns = slice(self.now - self.lengths[place], self.now)
        layers = []
        for layer in self.layers:
            keys, values = (buffer[place, :, columns].clone() for buffer in layer.buffers)
            layers.append((keys, values))
        return RowCache(tuple(layers), self.lengths[place])

    def _open(self, model: RowCache, longest: int, rows: int) -> None:
        """Empty buffers in the shape of `model`'s."""
        self.layers, self.now = [], longest
        columns = longest + SPARE_COLUMNS
        for layer in model.layers:
            keys, values = (
                states.new_zeros(rows, states.shape[0], columns, states.shape[2])
                for states in layer
            )
            self.layers.append(SharedLayer(keys, values))

    def _move(self, front: int) -> None:
        """Moves what rows still see so that it begins at column `front`, with spare columns behind
        it."""
        width = max(self.lengths)
        columns = front + width + SPARE_COLUMNS
        for layer in self.layers:
            for which, buffer in enumerate(layer.buffers):
                moved = buffer.new_zeros(*buffer.shape[:2], columns, buffer.shape[3])
                moved[:, :, front : front + width] = buffer[:, :, self.now - width : self.now]
                layer.buffers[which] = moved
        self.now = front + width


def joined(caches: Sequence[RowCache | None], layers: int) -> tuple[list[DynamicLayer], int]:
    """(one layer's cache for all rows, right-aligned, `layers` times; its width). A row without a
    cache has zeros, which its mask hides; without any cache the layers are empty and the width is
    0."""
    joint = [DynamicLayer() for _ in range(layers)]
    given = [cache for cache in caches if cache]
    width = max((cache.length for cache in given), default=0)
    if not width:
        return joint, 0
    for number, layer in enumerate(joint):
        keys, values = (
            states.new_zeros(len(caches), states.shape[0], width, states.shape[2])
            for states in given[0].layers[number]
        )
        for n, cache in enumerate(caches):
            if cache:
                keys[n, :, width - cache.length :] = cache.layers[number][0]
                values[n, :, width - cache.length :] = cache.layers[number][1]
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return joint, width


def rows_of(layers: Sequence[DynamicLayer], mask: Tensor) -> list[RowCache]:
    """Each row's own cache, out of layers that a model has just filled; `mask` [rows, columns] says
    which columns are a row's."""
    caches = []
    for n, seen in enumerate(mask):
        columns = seen.nonzero().squeeze(1)
        states = []
        for layer in layers:
            keys, values = layer.keys, layer.values
            assert keys is not None and values is not None  # the model has filled them
            places = columns.to(keys.device)
            states.append((keys[n, :, places], values[n, :, places]))
        caches.append(RowCache(tuple(states), len(columns)))
    return caches
