"""Keys and values of causal rows in fixed seats: one tensor, whose place in memory stays, so that a
recorded step (a CUDA graph) finds them again.

Each row begins at column 0 of its seat. Rows take the first seats; a row that leaves is replaced by
the last one, with one copy for all layers. See `causal_cache.py` for caches that share a time
axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smallsteps.generation.causal_cache import RowCache
from smallsteps.generation.recording import Recording

COLUMN_STEP = 256
"""Seats have a multiple of so many columns: each other number is another recording."""


@dataclass(frozen=True)
class SeatRow(RowCache):
    """What one row has read: `length` columns of a group's states. `layers` is empty."""

    group: Tensor
    """[layers, 2, rows, heads, columns, d], keys and values of all rows that were read together."""
    place: int
    """The row's number in the group."""
    begin: int
    """Its first column."""

    @property
    def token_bytes(self) -> int:
        return self.group[:, :, 0, :, 0].numel() * self.group.element_size()

    @property
    def states(self) -> Tensor:
        """[layers, 2, heads, length, d]."""
        return self.group[:, :, self.place, :, self.begin : self.begin + self.length]


class SeatCache:
    """The caches of all rows under way."""

    def __init__(self, seats: int) -> None:
        """seats: rows that may be under way."""
        self.seats = seats
        self.states: Tensor | None = None
        """[layers, 2, seats, heads, columns, d]; another tensor when rows have grown too long."""
        self.lengths: list[int] = []
        """Tokens of each row."""
        self.recordings: dict[int, Recording] = {}
        """Of steps on `states`, by rows."""

    @property
    def columns(self) -> int:
        return 0 if self.states is None else self.states.shape[4]

    def before_token(self) -> Tensor:
        """The states, with room for one more token of each row."""
        assert self.states is not None, "rows have entered"
        return self._with_room(max(self.lengths) + 1, self.states)

    def after_token(self) -> None:
        """Counts the token that the model has written."""
        self.lengths = [length + 1 for length in self.lengths]

    def add(self, caches: Sequence[RowCache]) -> None:
        """Seats further rows behind the others."""
        groups: dict[tuple[int, int], list[tuple[int, SeatRow]]] = {}
        for seat, cache in enumerate(caches, start=len(self.lengths)):
            assert isinstance(cache, SeatRow), "made by the same model"
            groups.setdefault((id(cache.group), cache.begin), []).append((seat, cache))
        longest = max(cache.length for cache in caches)
        for rows in groups.values():
            group, begin = rows[0][1].group, rows[0][1].begin
            states = self._with_room(longest + 1, group)
            width = max(cache.length for _, cache in rows)
            seats = torch.tensor([seat for seat, _ in rows], device=states.device)
            places = torch.tensor([cache.place for _, cache in rows], device=states.device)
            states[:, :, seats, :, :width] = group[:, :, places, :, begin : begin + width]
        self.lengths += [cache.length for cache in caches]

    def drop(self, leaving: Sequence[int]) -> list[int]:
        """Empties the seats `leaving`; the last rows take them. Returns the present place of every
        row that stays, in the new order."""
        order = list(range(len(self.lengths)))
        for place in sorted(leaving, reverse=True):
            last = len(order) - 1
            if place < last:
                length = self.lengths[last]
                if self.states is not None:
                    self.states[:, :, place, :, :length] = self.states[:, :, last, :, :length]
                order[place], self.lengths[place] = order[last], length
            order.pop()
            self.lengths.pop()
        return order

    def row(self, place: int) -> SeatRow:
        """A copy of one row's cache."""
        assert self.states is not None, "rows have entered"
        length = self.lengths[place]
        copy = self.states[:, :, place : place + 1, :, :length].clone()
        return SeatRow((), length, copy, place=0, begin=0)

    def _with_room(self, columns: int, like: Tensor) -> Tensor:
        """The states with at least so many columns, in the shape of `like`'s rows."""
        if self.states is None or columns > self.columns:
            wide = -(-columns // COLUMN_STEP) * COLUMN_STEP
            layers, two, _, heads, _, d = like.shape
            states = like.new_zeros(layers, two, self.seats, heads, wide, d)
            if self.states is not None:
                states[..., : self.columns, :] = self.states
            self.states = states
            self.recordings.clear()
        return self.states
