"""Caches of causal rows: what a row gets back is what it brought, wherever it sat meanwhile."""

from __future__ import annotations

import pytest
import torch

from smallsteps.generation.causal_cache import SPARE_COLUMNS, BatchCache, RowCache, joined, rows_of

LAYERS, HEADS, WIDTH = 2, 3, 4


def row_cache(length: int, seed: int = 0) -> RowCache:
    generator = torch.Generator().manual_seed(seed)
    layers = [
        tuple(torch.randn(HEADS, length, WIDTH, generator=generator) for _ in range(2))
        for _ in range(LAYERS)
    ]
    return RowCache(tuple(layers), length)  # type: ignore[arg-type]


def same(first: RowCache, second: RowCache) -> bool:
    return first.length == second.length and all(
        torch.equal(a, b)
        for one_layer, other_layer in zip(first.layers, second.layers, strict=True)
        for a, b in zip(one_layer, other_layer, strict=True)
    )


def write_token(batch: BatchCache, value: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A token's keys and values in each row and layer; its mask and positions."""
    layers, mask, positions = batch.before_token()
    states = torch.full((len(batch.lengths), HEADS, 1, WIDTH), value)
    for layer in layers:
        layer.update(states, states)
    batch.after_token()
    return mask, positions


def test_rows_of_different_lengths_come_back_as_they_came() -> None:
    caches = [row_cache(5, 1), row_cache(2, 2), row_cache(9, 3)]
    batch = BatchCache()
    batch.add(caches[:2])
    batch.add(caches[2:])  # longer than all that is there: the others move
    assert all(same(batch.row(place), cache) for place, cache in enumerate(caches))


def test_the_mask_shows_a_row_its_own_columns_and_the_new_one() -> None:
    batch = BatchCache()
    batch.add([row_cache(3), row_cache(1)])
    mask, positions = write_token(batch, 1.0)
    assert mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert positions.tolist() == [[3], [1]]
    assert batch.lengths == [4, 2]


@pytest.mark.parametrize("leaving", [[0], [2], [0, 1], [1, 3], [0, 1, 2], [0, 1, 2, 3]])
def test_rows_that_stay_keep_their_content_when_others_leave(leaving: list[int]) -> None:
    caches = [row_cache(4, 1), row_cache(3, 2), row_cache(6, 3), row_cache(5, 4)]
    batch = BatchCache()
    batch.add(caches)
    staying = batch.drop(leaving)
    assert sorted([*staying, *leaving]) == [0, 1, 2, 3]
    assert all(same(batch.row(place), caches[old]) for place, old in enumerate(staying))
    batch.add([row_cache(2, 5)])  # takes a seat that is free now
    assert same(batch.row(len(staying)), row_cache(2, 5))
    assert all(same(batch.row(place), caches[old]) for place, old in enumerate(staying))


def test_full_buffers_move_and_lose_nothing() -> None:
    cache = row_cache(3)
    batch = BatchCache()
    batch.add([cache])
    for token in range(SPARE_COLUMNS + 5):
        write_token(batch, float(token))
    keys = batch.row(0).layers[0][0]
    assert torch.equal(keys[:, :3], cache.layers[0][0])
    assert keys[0, 3:, 0].tolist() == [float(token) for token in range(SPARE_COLUMNS + 5)]


def test_joined_caches_are_right_aligned_and_split_into_the_same_rows() -> None:
    caches = [row_cache(4, 1), None, row_cache(2, 2)]
    layers, width = joined(caches, LAYERS)
    assert width == 4
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]])
    first, second, third = rows_of(layers, mask)
    assert same(first, row_cache(4, 1)) and same(third, row_cache(2, 2)) and second.length == 0


def test_without_caches_the_layers_are_empty() -> None:
    layers, width = joined([None, None], LAYERS)
    assert width == 0 and len(layers) == LAYERS and layers[0].get_seq_length() == 0
