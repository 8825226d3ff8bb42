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


class SharedLayer(DynamicLayer):
    """One layer's buffers [rows, heads, columns, d]; `BatchCache` moves `front` and `now`."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.buffers = [keys, values]
        self.front = self.now = 0
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes new columns from `now` on; all columns from `front` on."""
        end = self.now + key_states.shape[2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, self.now : end] = states
        keys, values = self.buffers
        return keys[:, :, self.front : end], values[:, :, self.front : end]

    def get_seq_length(self) -> int:
        return self.now - self.front


class BatchCache:
    """The caches of all rows under way."""

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
            layer.front, layer.now = front, self.now
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
        """Seats further rows below the others."""
        longest = max(cache.length for cache in caches)
        if not self.lengths:
            self._open(caches[0], longest)
        elif longest > self.now:
            self._move(longest - max(self.lengths))
        for number, layer in enumerate(self.layers):
            for which in (0, 1):
                buffer = layer.buffers[which]
                added = buffer.new_zeros(len(caches), *buffer.shape[1:])
                for n, cache in enumerate(caches):
                    columns = slice(self.now - cache.length, self.now)
                    added[n, :, columns] = cache.layers[number][which]
                layer.buffers[which] = torch.cat([buffer, added])
        self.lengths += [cache.length for cache in caches]

    def keep(self, places: list[int]) -> None:
        """Only the rows at these places stay, in this order."""
        self.lengths = [self.lengths[place] for place in places]
        for layer in self.layers:
            layer.buffers = [buffer[places] for buffer in layer.buffers]

    def row(self, place: int) -> RowCache:
        """A copy of one row's cache."""
        columns = slice(self.now - self.lengths[place], self.now)
        layers = []
        for layer in self.layers:
            keys, values = (buffer[place, :, columns].clone() for buffer in layer.buffers)
            layers.append((keys, values))
        return RowCache(tuple(layers), self.lengths[place])

    def _open(self, model: RowCache, longest: int) -> None:
        """Empty buffers in the shape of `model`'s."""
        self.layers, self.now = [], longest
        for keys, values in model.layers:
            shape = (0, keys.shape[0], longest + SPARE_COLUMNS)
            self.layers.append(
                SharedLayer(
                    keys.new_zeros(*shape, keys.shape[2]), values.new_zeros(*shape, values.shape[2])
                )
            )

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
