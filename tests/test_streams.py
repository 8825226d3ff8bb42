"""Streams keep few records, and make many anew at each pass."""

from __future__ import annotations

import pytest

from smallsteps import streams
from smallsteps.streams import Stream, blocks, hash64, joined


class Source:
    """Counts how often its records are made."""

    def __init__(self, count: int) -> None:
        self.count, self.passes = count, 0

    def __call__(self):
        self.passes += 1
        return iter(range(self.count))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(streams, "KEPT", 3)


def test_few_records_are_made_once_and_many_at_each_pass():
    few, many = Source(3), Source(4)
    kept, remade = Stream(few), Stream(many)
    assert list(kept) == list(kept) == [0, 1, 2] and few.passes == 1, "list() asks for the length"
    for _ in range(2):
        assert [*iter(remade)] == [0, 1, 2, 3]
    assert many.passes == 2


def test_the_length_takes_one_pass_and_is_then_known():
    source = Source(5)
    stream = Stream(source)
    assert len(stream) == len(stream) == 5 and source.passes == 1


def test_a_pass_that_is_given_up_keeps_nothing_half():
    stream = Stream(Source(3))
    assert next(iter(stream)) == 0
    assert list(stream) == [0, 1, 2] and 2 in stream and 7 not in stream


def test_two_passes_at_once_give_all_records():
    stream = Stream(Source(3))
    assert list(zip(stream, stream, strict=True)) == [(0, 0), (1, 1), (2, 2)]


def test_an_empty_stream_is_false_and_others_are_true_after_one_record():
    assert not Stream(Source(0)) and Stream(Source(9))
    assert list(Stream(Source(0))) == [] and len(Stream(Source(0))) == 0


def test_joined_parts_follow_one_another_at_each_pass():
    both = joined(range(2), range(7, 9))
    assert list(both) == list(both) == [0, 1, 7, 8] and len(both) == 4


def test_blocks_are_as_large_as_what_is_kept():
    assert list(blocks(range(7))) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(blocks([])) == []


def test_a_hash_is_the_same_in_every_process_and_takes_any_text():
    assert hash64("gsm8k-7") == 182782254106850583
    assert hash64("\ud800") != hash64("")
