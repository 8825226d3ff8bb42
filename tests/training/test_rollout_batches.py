"""A step's rollouts cut anew: every rollout keeps what was read of it."""

from __future__ import annotations

import torch

from smallsteps.training.batches import Encoded, micro_batches
from smallsteps.training.estimators import Advantages
from smallsteps.training.policy import Tokens
from smallsteps.training.rollout_batches import (
    NOWHERE,
    LearnBatches,
    ReadBatch,
    WrittenRow,
    estimated_batches,
    known_of,
)

LENGTHS = (3, 1, 5, 2, 4)


def row(place):
    """A rollout whose tokens are told apart from all others': 10 * place + number."""
    target = [10 * place + number for number in range(LENGTHS[place])]
    return Encoded((1, 2), target, [True] * len(target), (f"p{place}",))


def read(places):
    """A batch in which what was read of a token is its id."""
    rows = [row(place) for place in places]
    old = torch.tensor([float(token) for one in rows for token in one.target])
    return ReadBatch(list(places), rows, old, 2 * old, 3 * old)


def test_what_is_known_of_a_rollout_is_that_of_its_own_tokens():
    known = known_of(read([1, 3]))
    assert [(one.place, one.length, one.log_ratio) for one in known] == [
        (1, 1, -10.0),
        (3, 2, -61.0),
    ]
    assert [one.values.tolist() for one in known] == [[30.0], [90.0, 93.0]]


def estimated(batches, before=0):
    tokens = [
        float(t) for batch in batches if batch.counts for one in batch.rows for t in one.target
    ]
    every = torch.tensor([-1.0] * before + tokens)
    return estimated_batches(Advantages(4 * every, 5 * every, 6 * every), before, batches)


def figures_of(batches):
    """Id of the prompt → what is fixed of each of its tokens."""
    figures = {}
    for batch in batches:
        parts = [part.split([one.loss_tokens for one in batch.rows]) for part in batch.tokens]
        for number, one in enumerate(batch.rows):
            figures[one.example_ids] = [part[number].tolist() for part in parts]
    return figures


def test_the_estimate_goes_to_its_own_tokens_and_none_to_what_does_not_count():
    spare = ReadBatch([NOWHERE], [row(0)], *(torch.ones(3) for _ in range(3)))
    *learnt, last = estimated([read([2, 0]), read([4]), spare], before=7)
    assert [batch.counts for batch in (*learnt, last)] == [True, True, False]
    for batch in learnt:
        ids = torch.tensor([float(token) for one in batch.rows for token in one.target])
        for figures, factor in zip(batch.tokens, (1, 2, 4, 5, 6), strict=True):
            assert torch.equal(figures, factor * ids)
    assert not any(figures.any() for figures in last.tokens[2:])


def test_smaller_batches_hold_the_same_rollouts_with_their_own_figures():
    whole = LearnBatches(estimated([read([2, 0, 4]), read([3, 1])]), 100)
    assert whole.within(100, "cpu") is whole
    cut = whole.within(8, "cpu")
    assert cut.limit == 8 and len(cut.batches) > 2
    assert figures_of(cut.batches) == figures_of(whole.batches)
    assert len(figures_of(cut.batches)) == len(LENGTHS)
    begun = micro_batches([WrittenRow(row(place), place) for place in (2, 0, 4, 3, 1)], 8)
    assert [batch.rows for batch in cut.batches] == [
        [one.encoded for one in batch] for batch in begun
    ], "as if they had been as small from the start"
    assert all(isinstance(batch.tokens, Tokens) for batch in cut.batches)
