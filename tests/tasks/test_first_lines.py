"""The index of ids says of each where it stood first, and stays small."""

from __future__ import annotations

import tracemalloc

from smallsteps.tasks import first_lines
from smallsteps.tasks.first_lines import FirstLines


def test_a_text_that_comes_again_is_told_with_its_first_line_also_after_growth():
    lines = FirstLines()
    texts = [f"q{number}" for number in range(5_000)]
    assert all(lines.add(text, line) is None for line, text in enumerate(texts, start=1))
    assert [lines.add(text, 9_999) for text in texts] == list(range(1, 5_001))
    assert lines.add("", 6_000) is None and lines.add("", 6_001) == 6_000


def test_texts_that_fall_on_the_same_slot_stay_apart(monkeypatch):
    codes = {"a": 3, "b": 3 + (1 << 40), "c": -1021, "d": 4}
    monkeypatch.setattr(first_lines, "hash", codes.__getitem__, raising=False)
    lines = FirstLines()
    assert [lines.add(text, line) for line, text in enumerate("abcd", start=1)] == [None] * 4
    assert [lines.add(text, 9) for text in "dcba"] == [4, 3, 2, 1]


def test_an_id_takes_at_most_48_bytes_whatever_its_length():
    lines = FirstLines()
    tracemalloc.start()
    for line in range(1, 40_001):
        lines.add(f"{line:0500d}", line)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 48 * 40_000
