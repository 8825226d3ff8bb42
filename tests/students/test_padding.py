"""Padding keeps every token, and masks come from lengths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.students.padding import pad


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([0, -100, 7]),
)
def test_rows_come_back_through_their_mask(rows, left, fill):
    ids, mask = pad(rows, fill, left=left)
    assert [ids[n][mask[n].bool()].tolist() for n in range(len(rows))] == rows
    assert (ids[mask == 0] == fill).all() and ids.shape[1] == max(map(len, rows))


def test_a_real_token_that_is_the_fill_is_no_padding():
    ids, mask = pad([[0, 0, 7], [7]])
    assert ids.tolist() == [[0, 0, 7], [7, 0, 0]] and mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_the_side_and_the_width_are_chosen():
    assert pad([[5], [6, 7]], left=True)[0].tolist() == [[0, 5], [6, 7]]
    ids, mask = pad([[5]], fill=9, width=3)
    assert ids.tolist() == [[5, 9, 9]] and mask.tolist() == [[1, 0, 0]]


def test_a_row_that_is_wider_than_the_width_is_an_error():
    with pytest.raises(ValueError, match="broadcast"):
        pad([[5, 6, 7]], width=2)
