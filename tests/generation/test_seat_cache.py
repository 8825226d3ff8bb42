"""Rows in fixed seats: what enters, leaves and comes back is what was there."""

from __future__ import annotations

import pytest
import torch

from smallsteps.generation import seat_cache
from smallsteps.generation.seat_cache import SeatCache, SeatRow


def rows(lengths: list[int], begin: int = 0, mark: float = 1.0) -> list[SeatRow]:
    """Rows that were read together; each state is mark + row / 10 + column / 100."""
    columns = begin + max(lengths)
    states = torch.zeros(2, 2, len(lengths), 3, columns, 4) + mark
    states += torch.arange(len(lengths))[:, None, None, None] / 10
    states += torch.arange(columns)[:, None] / 100
    return [SeatRow((), n, states, place, begin) for place, n in enumerate(lengths)]


def test_rows_come_back_as_they_entered_whoever_left_meanwhile() -> None:
    cache = SeatCache(8)
    first, second = rows([3, 5, 2]), rows([4, 1], begin=2, mark=5.0)
    cache.add(first)
    cache.add(second)
    assert cache.lengths == [3, 5, 2, 4, 1]
    assert cache.drop([1, 4]) == [0, 3, 2]
    assert cache.lengths == [3, 4, 2]
    for place, row in enumerate([first[0], second[0], first[2]]):
        assert torch.equal(cache.row(place).states, row.states)
    cache.drop([0, 1, 2])
    assert cache.lengths == []


def test_longer_rows_get_wider_seats_and_new_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_cache, "COLUMN_STEP", 4)
    cache = SeatCache(2)
    (row,) = rows([3])
    cache.add([row])
    assert cache.columns == 4 and cache.before_token().shape == (2, 2, 2, 3, 4, 4)
    cache.recordings[8] = "a recording"
    cache.after_token()
    before = cache.row(0).states
    states = cache.before_token()
    assert cache.columns == 8 and not cache.recordings
    assert torch.equal(states[:, :, 0, :, :4], before)


def test_a_row_knows_what_a_token_takes() -> None:
    (row,) = rows([5])
    assert row.length == 5 and row.token_bytes == 2 * 2 * 3 * 4 * 4
