"""Micro-batches hold what they should, and tensors read it as it is."""

from __future__ import annotations

import pickle
import random
import tracemalloc
from collections import Counter

from smallsteps.training.batches import Encoded, collate, micro_batches, share


def row(source: int, target: int, name: str = "r") -> Encoded:
    return Encoded((5,) * source, (6,) * target, (True,) * target, (name,))


def test_micro_batches_hold_every_row_once_within_the_limit_and_by_length():
    draw = random.Random(1)
    rows = [row(draw.randint(1, 120), draw.randint(1, 60), str(i)) for i in range(64)]
    pieces = list(micro_batches(rows, 1000))
    assert Counter(r.example_ids for piece in pieces for r in piece) == Counter(
        r.example_ids for r in rows
    )
    for piece in pieces:
        padded = len(piece) * (
            max(len(r.source) for r in piece) + max(len(r.target) for r in piece)
        )
        assert padded <= 1000 or len(piece) == 1
    padded = sum(collate(piece, 0).padded_tokens for piece in pieces)
    assert sum(r.tokens for r in rows) / padded > 0.7


def test_shares_of_processes_are_disjoint_and_complete():
    rows = [row(i % 7 + 1, 3, str(i)) for i in range(13)]
    shares = [share(rows, rank, 3) for rank in range(3)]
    assert sorted(r.example_ids for s in shares for r in s) == sorted(r.example_ids for r in rows)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_masks_come_from_lengths_so_that_real_pad_ids_are_read_and_counted():
    rows = [
        Encoded((0, 0, 7), (0, 1), (True, True), ("a",)),
        Encoded((7,), (4, 0, 1), (True,) * 3, ("b",)),
    ]
    batch = collate(rows, start_id=0)
    assert batch.source_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.labels.tolist() == [0, 1, 4, 0, 1]
    assert batch.inputs.tolist() == [[0, 0, 0], [0, 4, 0]]
    assert batch.inputs_mask.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_causal_rows_predict_the_token_after_each_position():
    batch = collate([Encoded((), (5, 6, 7, 8), (False, False, True, True), ("a",))], None)
    assert batch.source is None
    assert batch.inputs.tolist() == [[5, 6, 7]]
    assert batch.places.tolist() == [1, 2]
    assert batch.labels.tolist() == [7, 8]


def test_a_sequence_gives_back_what_it_was_made_of_in_few_bytes():
    ids = tuple(range(100_000, 100_500))
    tracemalloc.start()
    row = Encoded(ids, ids[:3], (False, True, True), ("a", "b"))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5 * len(ids), "a tuple of such ids takes 40 bytes each"
    assert (row.source, row.target, row.counted) == (ids, ids[:3], (False, True, True))
    assert (row.tokens, row.loss_tokens, row.example_ids) == (503, 2, ("a", "b"))
    same = Encoded(ids, ids[:3], (False, True, True), ("a", "b"))
    assert row == same == pickle.loads(pickle.dumps(row)) and len({row, same}) == 1
    assert row != Encoded(ids, ids[:3], (False, False, True), ("a", "b"))
