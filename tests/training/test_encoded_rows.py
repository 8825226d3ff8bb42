"""Encoded sequences in memory and in a file."""

from __future__ import annotations

import errno
import tempfile

import pytest

from smallsteps.errors import TrainingError
from smallsteps.training import encoded_rows
from smallsteps.training.batches import Encoded
from smallsteps.training.encoded_rows import EncodedRows

ROWS = [
    Encoded((), (5, 1), (False, True), ("a/0", "a/1")),
    Encoded(range(70_000, 70_040), (7, 1), (True, True), ("ü/whole",)),
    Encoded((3,), (), (), ("empty",)),
    Encoded((9, 9), (4, 4, 1), (True, False, True), ("last",)),
]


def stored(limit, monkeypatch):
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", limit)
    rows = EncodedRows()
    for row in ROWS:
        rows.add(row)
    return rows


@pytest.mark.parametrize("limit", [10**6, 0, 60])
def test_rows_come_back_in_any_order_from_memory_and_file(limit, monkeypatch):
    rows = stored(limit, monkeypatch)
    assert list(rows) == ROWS and len(rows) == 4
    assert [rows[place] for place in (3, 0, -2, 1)] == [ROWS[3], ROWS[0], ROWS[2], ROWS[1]]
    assert rows[1:3] == ROWS[1:3] and rows[::-1] == ROWS[::-1]
    assert list(rows.tokens) == [row.tokens for row in ROWS]
    assert rows.loss_tokens == sum(row.loss_tokens for row in ROWS)
    with pytest.raises(IndexError):
        rows[4]


@pytest.mark.parametrize(
    "ids",
    [
        ("a\0b", "c"),
        ("a", "\0", "b\0"),
        ("line\nline\r\n", "", "tab\t"),
        ("\ud800", "\ud83d\ude00", "😀", "ü"),
        (),
        ("",),
    ],
)
def test_any_id_comes_back_from_the_file(ids, monkeypatch):
    """Ids of causal rows lie one after another: none may run into the next."""
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 0)
    rows = EncodedRows()
    rows.add(Encoded((3,), (4, 1), (False, True), ids))
    rows.add(ROWS[0])
    assert rows[0].example_ids == ids and rows[0].target == (4, 1) and rows[1] == ROWS[0]


def test_rows_may_be_added_after_others_were_read(monkeypatch):
    rows = stored(0, monkeypatch)
    assert rows[0] == ROWS[0]
    rows.add(ROWS[1])
    assert list(rows) == [*ROWS, ROWS[1]]


def test_a_full_disk_says_where_and_what_to_type(monkeypatch):
    class Full:
        def seek(self, place):
            pass

        def close(self):
            pass

        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(TrainingError, match=r"No space left on device in .*TMPDIR=DIR"):
        stored(0, monkeypatch)
