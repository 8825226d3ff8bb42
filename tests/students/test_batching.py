"""Batches by length: every row once, within the limit, and the cheapest cut of all."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from smallsteps.students.batching import (
    CPU_OVERHEAD,
    GPU_OVERHEAD,
    batch_overhead,
    batches_by_length,
)

SIZES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), max_size=30)
LIMITS = st.sampled_from([50, 200, 1000, 10**9, None])


def padded(sizes, batch):
    return len(batch) * (max(sizes[i][0] for i in batch) + max(sizes[i][1] for i in batch))


@given(SIZES, LIMITS, st.booleans())
def test_batches_hold_every_row_once_within_the_limit_and_by_length(sizes, limit, fill):
    batches = batches_by_length(sizes, limit, fill=fill)
    order = [index for batch in batches for index in batch]
    assert order == sorted(range(len(sizes)), key=sizes.__getitem__)
    for batch in batches:
        assert limit is None or padded(sizes, batch) <= limit or len(batch) == 1


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=8),
    LIMITS,
    st.sampled_from([CPU_OVERHEAD, GPU_OVERHEAD]),
)
def test_the_cut_is_the_cheapest_of_all(sizes, limit, overhead):
    def cost(batches):
        return sum(padded(sizes, batch) + overhead for batch in batches)

    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    cuts = [
        [order[start:end] for start, end in pairwise([0, *inner, len(order)])]
        for count in range(len(order))
        for inner in combinations(range(1, len(order)), count)
    ]
    allowed = [
        cut
        for cut in cuts
        if all(limit is None or len(b) == 1 or padded(sizes, b) <= limit for b in cut)
    ]
    found = batches_by_length(sizes, limit, overhead=overhead)
    assert cost(found) == min(map(cost, allowed))


@given(SIZES, st.sampled_from([50, 200, 1000]))
def test_full_batches_have_no_room_for_the_next_row(sizes, limit):
    batches = batches_by_length(sizes, limit, fill=True)
    for batch, following in pairwise(batches):
        assert padded(sizes, [*batch, following[0]]) > limit


def test_the_order_is_that_of_the_key():
    sizes = [(5, 3), (9, 3), (5, 40)]
    assert batches_by_length(sizes, 60, fill=True, key=lambda size: -size[1]) == [[2], [0, 1]]


def test_a_row_over_the_limit_is_a_batch_of_its_own():
    sizes = [(10, 10), (500, 10), (9, 9)]
    assert (
        batches_by_length(sizes, 100) == batches_by_length(sizes, 100, fill=True) == [[2, 0], [1]]
    )


def test_no_rows_are_no_batches():
    assert batches_by_length([], 100) == batches_by_length([], 100, fill=True) == []


def test_a_gpu_gets_an_update_whole_where_a_cpu_gets_it_by_length():
    sizes = [(0, length) for length in range(50, 370, 5)]
    cut = batches_by_length(sizes, 32768, overhead=batch_overhead("cuda"))
    assert [len(batch) for batch in cut] == [64]
    assert len(batches_by_length(sizes, 32768, overhead=batch_overhead("cpu"))) > 8
