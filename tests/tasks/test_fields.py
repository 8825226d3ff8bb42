"""Fields of a row: types, and the messages for those that are not as they should be."""

from datetime import date
from decimal import Decimal

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks.fields import (
    LongNumber,
    in_line,
    missing,
    plain,
    scalar,
    text_field,
    type_name,
)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a", "text"),
        (1, "a number"),
        (True, "a truth value"),
        (None, "null"),
        ([], "a list"),
        (float("nan"), "no finite number"),
        (LongNumber("9" * 5_000), "a number of 5,000 digits"),
        (date(2024, 1, 2), "a date"),
    ],
)
def test_types_are_named_in_plain_words(value, name):
    assert type_name(value) == name


def test_a_column_without_meaning_is_kept_as_json_can_write_it():
    row = {"day": date(2024, 1, 2), "raw": b"abc", "bad": float("inf"), 3: ("x", "\ud83d")}
    assert plain(row) == {"day": "2024-01-02", "raw": "(3 bytes)", "bad": None, "3": ["x", "?"]}


def test_nesting_ends_somewhere():
    value = []
    for _ in range(200):
        value = [value]
    shown = plain(value)
    depth = 0
    while isinstance(shown, list):
        shown, depth = shown[0], depth + 1
    assert depth == 50 and isinstance(shown, str)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a ", "a"), (3, "3"), (3.0, "3"), (2.5, "2.5"), (True, "yes"), (Decimal("1.50"), "1.50")],
)
def test_an_answer_may_be_text_a_number_or_a_truth_value(value, text):
    assert scalar({"answer": value}, "answer") == text


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_empty_answer_is_none(value):
    assert scalar({"answer": value}, "answer") is None


def test_an_id_is_no_truth_value():
    with pytest.raises(DataError, match=r"field 'id' must be text or a number, got a truth value"):
        scalar({"id": True}, "id")


def test_a_field_that_is_missing_names_what_the_row_has():
    with pytest.raises(DataError, match=r"no field 'question'\. The row has: a, b\. Add it, or"):
        text_field({"a": 1, "b": 2}, "question")
    assert "and 70 more" in missing({f"c{n}": n for n in range(100)}, "question")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "must be text, got a number: 3. Write it in quotes"),
        ("  ", "is empty. Fill it in"),
        ("a\ud83d", r"holds half a character \(\\ud83d, a lone surrogate\) at position 2"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(value, message):
    with pytest.raises(DataError, match=message):
        text_field({"question": value}, "question")


def test_names_in_messages_are_one_printable_line():
    assert in_line("a\nb\x00c") == "a b?c"
    assert in_line("x" * 100) == "x" * 60 + "…"
