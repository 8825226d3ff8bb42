"""The fields of a row: which there are, of which type, and what is said about one that is wrong.

Messages here need no file and line: `files` puts `FILE:LINE (ID)` before them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from smallsteps.errors import DataError
from smallsteps.tasks.column_guesses import columns_option

FIELDS = (
    "id",
    "question",
    "rationale",
    "answer",
    "predicted",
    "correct",
    "segments",
    "choices",
    "context",
    "group",
)
"""The fields that have a meaning of their own; all others go to `Problem.meta`."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LongNumber:
    """A number of more digits than Python reads; it can stand in a column that has no meaning
    here."""

    digits: str

    def __str__(self) -> str:
        return self.digits


def type_name(value: object) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, LongNumber):
        return f"a number of {len(value.digits):,} digits"
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    names = {
        str: "text",
        int: "a number",
        float: "a number",
        bool: "a truth value",
        list: "a list",
        dict: "an object",
        bytes: "bytes",
        datetime: "a date",
        date: "a date",
        time: "a time of day",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def plain(value: Any, depth: int = 0) -> Any:
    """A value of a column that has no meaning here, as JSON can write it: dates as text, bytes by
    their number, numbers that are none as null, half characters replaced."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
        case dict() if depth < _DEEPEST:
            return {plain(str(k)): plain(v, depth + 1) for k, v in value.items()}
        case list() | tuple() if depth < _DEEPEST:
            return [plain(v, depth + 1) for v in value]
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray():
            return f"({len(value):,} bytes)"
    return plain(str(value)[:1000])


_DEEPEST = 50
"""Levels of lists and objects that are kept of a column without meaning."""


def missing(row: Row, name: str) -> str:
    """What to say about a field that is not there. A rationale comes with its question: where both
    are missing, both columns are named."""
    lacking = [name]
    if name == "rationale" and row.get("question") is None:
        lacking = ["question", name]
    message = (
        f"no field {' and no '.join(map(repr, lacking))}. The row has: {names_of(row)}. "
        f"Add {'it' if len(lacking) == 1 else 'them'}{or_column(row, *lacking)}."
    )
    if row and not row.keys() & FIELDS and any(" " in key or key[:1].isdigit() for key in row):
        message += " If the first line is a row, put the names of the columns above it."
    return message


def or_column(row: Row, *names: str) -> str:
    """The rest of "Add it ...", which says what to type where fields have other names in the
    file."""
    whose = "its column" if len(names) == 1 else "their columns"
    return f", or name {whose}: {columns_option(row, names, FIELDS)}"


def names_of(row: Mapping[str, Any]) -> str:
    """The names of the fields of a row, for messages."""
    more = f" and {len(row) - _MOST_NAMES} more" if len(row) > _MOST_NAMES else ""
    return (", ".join(in_line(str(name)) for name in list(row)[:_MOST_NAMES]) or "nothing") + more


_MOST_NAMES = 30


def in_line(text: str) -> str:
    """A name or an id as messages show it: on one line, of whole printable characters, and not
    without end."""
    words = text[:200].encode("utf-8", "replace").decode("utf-8").split()
    line = " ".join("".join(c if c.isprintable() else "?" for c in word) for word in words)
    return line if len(line) <= 60 else f"{line[:60]}…"


def text_field(row: Row, name: str) -> str:
    """A field that must be text with something in it. Raises DataError where it is not."""
    value = row.get(name)
    if value is None:
        raise DataError(missing(row, name))
    if not isinstance(value, str):
        raise DataError(
            f"field {name!r} must be text, got {type_name(value)}: {short(value)}. "
            "Write it in quotes."
        )
    if not value.strip():
        raise DataError(f"field {name!r} is empty. Fill it in, or take the row out.")
    return encodable(value, name)


def encodable(value: str, name: str) -> str:
    """`value`. Raises DataError where UTF-8 cannot write it."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"field {name!r} holds half a character (\\u{ord(value[error.start]):04x}, "
            "a lone surrogate) at position "
            f"{error.start + 1}. Take it out; text was cut in the middle of an emoji or the like."
        ) from None
    return value


def scalar(row: Row, name: str) -> str | None:
    """A field that may be text, a number or (answers) a truth value, as text; None where it is
    missing, null or empty."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) and name != "id":
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    finite = isinstance(value, str | int) or (
        isinstance(value, float | Decimal) and math.isfinite(value)
    )
    if finite and not isinstance(value, bool):
        return encodable(str(value).strip(), name) or None
    raise DataError(
        f"field {name!r} must be text or a number, got {type_name(value)}: {short(value)}."
    )


def marked_correct(row: Row) -> bool | None:
    """The field `correct`; None where it is missing or null. Raises DataError on any other
    value."""
    value = row.get("correct")
    words = {"true": True, "1": True, "false": False, "0": False}
    if value is None or isinstance(value, bool):
        return value
    if str(value).strip().lower() in words:
        return words[str(value).strip().lower()]
    raise DataError(f"field 'correct' must be true, false or null, got {short(value)}.")


def short(value: object) -> str:
    """A value as messages show it: at most 60 characters."""
    shown = (
        json.dumps(plain(value), ensure_ascii=False)
        if isinstance(value, dict | list | str)
        else str(value)
    )
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
