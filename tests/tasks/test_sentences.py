"""Sentences end at marks, not at abbreviations, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.tasks.sentences import last_sentence, sentences


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("One. Two.", "Two."),
        ("She has 3.5 kg. It costs $1,000.50.", "It costs $1,000.50."),
        ("Ask Mrs. Hilt", "Ask Mrs. Hilt"),
        ("It ends at 3:30 p.m. on Monday", "It ends at 3:30 p.m. on Monday"),
        ("He met J. R. Smith", "He met J. R. Smith"),
        ("Take option a. The answer is 5.", "The answer is 5."),
        ("First line\nsecond line", "second line"),
        ("肝脏正常。脾脏正常。", "脾脏正常。"),
        ('He said "no." Then he left.', "Then he left."),
        ("The answer is no. But wait.", "But wait."),
        ("She lives at No. 5", "She lives at No. 5"),
        ("Steps:\n2. The answer is 5.", "2. The answer is 5."),
        ("", ""),
        ("Only one", "Only one"),
    ],
)
def test_last_sentence_ends_at_marks_but_not_at_abbreviations(text: str, last: str) -> None:
    assert last_sentence(text) == last


def _seconds(text: str) -> float:
    def once() -> float:
        start = time.process_time()
        sentences(text)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("piece", ["a. ", "Mr. ", "A. ", "No. 5 ", "\n1. ", " ", "3 + 4 = 7. "])
def test_one_long_line_takes_time_in_proportion_to_its_length(piece: str) -> None:
    """The trap: what stands before each full stop was searched from the start of the line, 17 s at
    28,000 characters."""
    short, long = (f"x{piece * (length // len(piece))}x" for length in (1_600, 25_600))
    assert (
        _seconds(long) < 80 * _seconds(short) + 0.01
    )  # 16 times the length; its square would be 256


def test_an_abbreviation_is_known_far_into_a_line_and_an_item_number_only_at_its_start() -> None:
    start = "Ann has many pens and pencils, "
    assert sentences(f"{start}says Dr. Lee. So 12. Then") == [
        f"{start}says Dr. Lee.",
        "So 12.",
        "Then",
    ]
    assert sentences(f"{start}yes\n12. Then. So") == [f"{start}yes", "12. Then.", "So"]


@given(st.text(alphabet="aB1. \n!?。", max_size=40))
def test_last_sentence_is_the_end_of_the_text(text: str) -> None:
    assert text.strip().endswith(last_sentence(text))
