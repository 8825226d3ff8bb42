"""From one row of a file to records: which fields there are, of which type, and what is said when
one is not as it should be.

Messages here need no file and line: `files` puts `FILE:LINE (ID)` before them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import Any, Literal, get_args

from smallsteps.errors import DataError
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.tasks.base import Task

Closing = Literal["add", "keep"]
"""`add`: a rationale without a closing sentence gets one; `keep`: rationales stay as they are."""

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
    """What to say about a field that is not there."""
    return (
        f"no field {name!r}. The row has: {_names(row)}. "
        f"Add it, or name its column: --columns {name}=COLUMN."
    )


def _names(row: Row) -> str:
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
            f"field {name!r} must be text, got {type_name(value)}: {_short(value)}. "
            "Write it in quotes."
        )
    if not value.strip():
        raise DataError(f"field {name!r} is empty. Fill it in, or take the row out.")
    return _encodable(value, name)


def _encodable(value: str, name: str) -> str:
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
        return _encodable(str(value).strip(), name) or None
    raise DataError(
        f"field {name!r} must be text or a number, got {type_name(value)}: {_short(value)}."
    )


def _short(value: object) -> str:
    shown = (
        json.dumps(plain(value), ensure_ascii=False)
        if isinstance(value, dict | list | str)
        else str(value)
    )
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def problem_of(row: Row, identifier: str, task: Task) -> Problem:
    """The problem of a row. Raises DataError on a field that is missing or wrong and on an answer
    that cannot be read back."""
    answer = scalar(row, "answer")
    _check_facts(row)
    problem = Problem(
        id=identifier,
        question=text_field(row, "question"),
        answer=answer,
        choices=_choices(row),
        context=_context(row.get("context")),
        group=scalar(row, "group"),
        meta=_meta(row),
    )
    if answer is None:
        return problem
    if not problem.choices:
        gold = _gold(task, answer)
        return problem if gold == answer else replace(problem, answer=gold)
    return replace(problem, answer=task.gold(problem))


@lru_cache(maxsize=100_000)
def _gold(task: Task, answer: str) -> str:
    """`Task.gold` where there are no choices, so that it depends on the answer alone: a million
    rows have few answers."""
    return task.gold(Problem("", "", answer=answer))


_NOTHING: dict[str, Any] = {}
"""The `meta` of all problems without further fields: a million empty dictionaries cost 64 MB."""


def _check_facts(row: Row) -> None:
    """Supporting facts of a question with a context must be what splits and scores take them
    for."""
    facts = row.get("supporting_facts")
    if row.get("context") is None or facts is None:
        return
    for fact in facts if isinstance(facts, list | tuple) else [facts]:
        match fact:
            case [str(), int()]:
                continue
        raise DataError(
            "field 'supporting_facts' must be a list of [title, number of the sentence from 0], "
            f"got {_short(fact)}."
        )


def _meta(row: Row) -> Mapping[str, Any]:
    meta = {plain(name): plain(value) for name, value in row.items() if name not in FIELDS}
    return meta or _NOTHING


def chain_of(row: Row, identifier: str, task: Task, closing: Closing) -> Chain:
    """The problem and rationale of a row; `rationale.correct` is False where the row's own answer
    is not the gold one."""
    rationale = text_field(row, "rationale")
    problem = problem_of(row, identifier, task)
    stated = task.closing_answer(rationale, problem) if task.closing is not None else None
    correct = _correct(row)
    if problem.answer is not None:
        if stated is not None and not task.same(stated, problem.answer):
            correct = False
        elif correct is None and "predicted" in row:
            correct = task.same(scalar(row, "predicted"), problem.answer)
    else:
        problem = replace(problem, answer=stated)
    text = rationale
    if closing == "add":
        reached = scalar(row, "predicted") if correct is False else None
        if reached is not None and not _reads_back(task, problem, reached):
            reached = None
        text = task.close(rationale, reached or problem.answer, problem)
    gold = _gold_segments(row.get("segments"), rationale, text)
    return Chain(
        problem, Rationale(f"{identifier}/rationale", identifier, text, correct=correct, gold=gold)
    )


def _reads_back(task: Task, problem: Problem, answer: str) -> bool:
    try:
        task.gold(replace(problem, answer=answer))
    except DataError:
        return False
    return True


def _correct(row: Row) -> bool | None:
    value = row.get("correct")
    words = {"true": True, "1": True, "false": False, "0": False}
    if value is None or isinstance(value, bool):
        return value
    if str(value).strip().lower() in words:
        return words[str(value).strip().lower()]
    raise DataError(f"field 'correct' must be true, false or null, got {_short(value)}.")


def _choices(row: Row) -> tuple[str, ...]:
    value = row.get("choices")
    if value is None:
        return ()
    if (
        not isinstance(value, list)
        or len(value) < 2
        or not all(isinstance(v, str) and v.strip() for v in value)
    ):
        raise DataError(
            f"field 'choices' must be a list of two texts or more, got {_short(value)}."
        )
    return tuple(_encodable(v, "choices") for v in value)


def _context(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Paragraphs as (title, sentences): from `[[title, [sentence, …]], …]`, plain paragraphs, or
    one text."""
    if value is None:
        return ()
    paragraphs = [value] if isinstance(value, str) else value
    context: list[tuple[str, tuple[str, ...]]] = []
    for paragraph in paragraphs if isinstance(paragraphs, list) else [paragraphs]:
        match paragraph:
            case str():
                context.append(("", (_encodable(paragraph, "context"),)))
            case [str() as title, str() as only]:
                context.append((_encodable(title, "context"), (_encodable(only, "context"),)))
            case [str() as title, [*sentences]] if all(isinstance(s, str) for s in sentences):
                title = _encodable(title, "context")
                context.append((title, tuple(_encodable(s, "context") for s in sentences)))
            case _:
                raise DataError(
                    "field 'context' must be a list of paragraphs, each a text or [title, "
                    "[sentence, …]], "
                    f"got {_short(paragraph)}."
                )
    return tuple(context)


def _gold_segments(value: Any, rationale: str, text: str) -> tuple[tuple[Kind, str], ...]:
    """Gold segments whose texts joined are `text`; a closing that the task added joins a last ES
    segment, else is one."""
    if value is None:
        return ()
    pieces: list[tuple[Kind, str]] = []
    for item in value if isinstance(value, list) else [value]:
        if (
            not isinstance(item, dict)
            or item.get("kind") not in get_args(Kind)
            or not isinstance(item.get("text"), str)
        ):
            raise DataError(
                """field 'segments' must be a list of {"kind": "ES" or "AS", "text": "…"}, """
                f"got {_short(item)}."
            )
        pieces.append((item["kind"], item["text"]))
    joined = "".join(piece for _, piece in pieces)
    if joined == text:
        return tuple(pieces)
    if joined != rationale or not pieces:
        at = sum(
            1
            for _ in takewhile(
                lambda pair: pair[0] == pair[1], zip(joined, rationale, strict=False)
            )
        )
        raise DataError(
            "the texts of 'segments' joined are not the rationale; "
            f"they differ at character {at + 1}: "
            f"{joined[at : at + 20]!r} against {rationale[at : at + 20]!r}. "
            "Keep every space and mark in the segments."
        )
    kind, last = pieces[-1]
    added = text[len(rationale.rstrip()) :]
    stop = re.match(r"\.?\s+", added)
    before, closing = (added[: stop.end()], added[stop.end() :]) if stop else ("", added)
    pieces[-1] = (kind, last.rstrip() + before)
    if kind == "ES":
        pieces[-1] = (kind, pieces[-1][1] + closing)
    else:
        pieces.append(("ES", closing))
    return tuple(pieces)
