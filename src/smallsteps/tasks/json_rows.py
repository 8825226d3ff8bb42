"""Rows of JSON files: one object a line, one list of objects, or objects written over several
lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, json_fault
from smallsteps.tasks.fields import FIELDS, LongNumber, type_name
from smallsteps.tasks.notes import Notes
from smallsteps.tasks.sources import lines, whole_text

Row = dict[str, Any]

EXAMPLE = '{"id": "1", "question": "…", "rationale": "…", "answer": "…"}'
_MOST_DIGITS = 4_000
"""Digits of an integer; Python's own limit, 4,300, would raise."""


def read_json(path: Path, notes: Notes) -> Iterator[tuple[int, Row]]:
    """(line, object) of JSON Lines, or (place from 1, object) of a file that is one JSON value: a
    list of objects, or an object that holds one. Raises DataError on what is neither."""
    only: tuple[int, Row] | None = None  # a first row that may be the whole file
    for place, (number, line) in enumerate(_filled(lines(path, notes))):
        if place == 0 and line.startswith("["):
            yield from _listed(path, whole_text(path, notes))
            return
        row = _first(path, line, number) if place == 0 else parse_row(line, f"{path}:{number}")
        if row is None:  # an object over several lines
            yield from _objects(path, whole_text(path, notes), number, line, notes)
            return
        if place == 0 and ".json" in path.suffixes:
            only = number, row
            continue
        if only is not None:
            yield only
            only = None
        yield number, row
    if only is not None:
        yield from _inside(*only, notes)  # the whole file


def _filled(numbered_lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, line in numbered_lines:
        text = line.strip()
        if text:
            yield number, text


def _first(path: Path, line: str, number: int) -> Row | None:
    """The row of a first line; None where it opens an object that goes on in the next lines."""
    try:
        return parse_row(line, f"{path}:{number}")
    except _BrokenRow:
        if line.startswith("{"):
            return None
        raise


class _BrokenRow(DataError):
    """A line that is no JSON."""


class _Twice(ValueError):
    """A key that stands twice in a row."""


class _Decoder(json.JSONDecoder):
    """JSON as data files have it: very long integers stay text, and a key of the row that stands
    twice is refused."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=self._object, parse_int=_integer)
        self._twice: str | None = None

    def _object(self, pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        self._twice = None
        if len(row) != len(pairs):
            keys = [key for key, _ in pairs]
            self._twice = next(key for key in keys if keys.count(key) > 1)
        return row

    def row_at(self, text: str, start: int) -> tuple[Any, int]:
        """(value, its end) at `start`. The last object that was closed is the row itself."""
        value, end = self.raw_decode(text, start)
        if isinstance(value, dict) and self._twice is not None:
            raise _Twice(self._twice)
        return value, end


def _integer(digits: str) -> int | LongNumber:
    return int(digits) if len(digits) <= _MOST_DIGITS else LongNumber(digits)


_DECODER = _Decoder()
_SPACE = " \t\r\n"


def parse_row(line: str, place: str) -> Row:
    """The object on a stripped line. Raises DataError on anything else."""
    try:
        row, end = _DECODER.row_at(line, 0)
        if end != len(line):
            raise json.JSONDecodeError("Extra data", line, end)
    except _Twice as error:
        raise DataError(
            f"{place}: the key {str(error)[:60]!r} stands twice in the row. Keep one of the two."
        ) from None
    except (ValueError, RecursionError) as error:
        what = "nested too deeply"
        if isinstance(error, json.JSONDecodeError):
            what = json_fault(error)
        raise _BrokenRow(
            f"{place}: broken JSON ({what}): {line[:60]!r}. Expected one whole JSON object on each "
            "line."
        ) from None
    return _checked(row, line, place)


def _checked(row: Any, shown: str, place: str) -> Row:
    if not isinstance(row, dict):
        raise DataError(
            f"{place}: expected a JSON object, got {type_name(row)}: {shown[:60]!r}. "
            f"Write each row as {EXAMPLE}"
        )
    return row


def _skip(text: str, start: int, signs: str = _SPACE) -> int:
    while start < len(text) and text[start] in signs:
        start += 1
    return start


def _listed(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    """(place from 1, object) of a file that is one list of objects."""
    at = _skip(text, _skip(text, 0) + 1)
    count = 0
    while text[at : at + 1] != "]":
        value, end = _value(path, text, at)
        count += 1
        yield count, _checked(value, text[at : at + 60], f"{path}:{count}")
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise DataError(
                f"{path}:{_line(text, at)}: broken JSON: expected `,` or `]` after object {count} "
                "of the list."
            )
    if text[at + 1 :].strip():
        raise DataError(
            f"{path}:{_line(text, at)}: text after the end of the list. Keep one list, "
            "or write JSON Lines."
        )


def _objects(
    path: Path, text: str, number: int, line: str, notes: Notes
) -> Iterator[tuple[int, Row]]:
    """(place from 1, object) of objects that are each written over several lines."""
    at, count = _skip(text, 0), 0
    try:
        value, end = _DECODER.row_at(text, at)
    except (ValueError, RecursionError):
        parse_row(line, f"{path}:{number}")  # raises: the line is no beginning of an object either
        raise
    if "\n" not in text[at:end]:
        parse_row(line, f"{path}:{number}")
    if not text[end:].strip():
        yield from _inside(1, _checked(value, line, f"{path}:{number}"), notes)
        return
    while at < len(text):
        value, end = _value(path, text, at)
        count += 1
        yield count, _checked(value, text[at : at + 60], f"{path}:{count}")
        at = _skip(text, end)


def _value(path: Path, text: str, start: int) -> tuple[Any, int]:
    try:
        return _DECODER.row_at(text, start)
    except _Twice as error:
        raise DataError(
            f"{path}:{_line(text, start)}: the key {str(error)[:60]!r} stands twice in the row. "
            "Keep one of the two."
        ) from None
    except RecursionError:
        raise DataError(f"{path}:{_line(text, start)}: broken JSON (nested too deeply).") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: broken JSON ({json_fault(error, line=False)}): "
            f"{text[start : start + 60]!r}. Expected a whole JSON object."
        ) from None


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _inside(number: int, row: Row, notes: Notes) -> Iterator[tuple[int, Row]]:
    """The rows of an object that is the whole file: those of its one list of objects ({"data":
    [...]}), else itself."""
    lists = [
        name
        for name, value in row.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]
    if len(lists) == 1 and not set(row) & {*FIELDS, "messages", "conversations", "prompt"}:
        notes.shapes[f"the list `{lists[0]}` of one object"] += 1
        yield from enumerate(row[lists[0]], start=1)
    else:
        yield number, row
