"""From the fields of one row to records: problems and chains.

Messages here need no file and line: `files` puts `FILE:LINE (ID)` before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, get_args

from smallsteps.errors import DataError
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.tasks.base import Task
from smallsteps.tasks.fields import (
    FIELDS,
    Row,
    encodable,
    marked_correct,
    plain,
    scalar,
    short,
    text_field,
)
from smallsteps.tasks.word_problems import number

Closing = Literal["add", "keep"]
"""`add`: a rationale without a closing sentence gets one; `keep`: rationales stay as they are."""


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
            f"got {short(fact)}."
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
    correct = marked_correct(row)
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


def ends_in_another_number(rationale: str, problem: Problem, task: Task) -> bool:
    """Whether the last number of a rationale without a closing is not the answer, a number. It may
    be right all the same: "so she has 7 pens in 3 boxes".

    >>> from smallsteps.tasks import get_task
    >>> ends_in_another_number("4 * 9 = 36", Problem("1", "?", "99"), get_task("numbers"))
    True
    """
    if problem.answer is None or number(problem.answer) is None:
        return False
    last = task.extract(rationale, True, problem)
    return number(last) is not None and not task.same(last, problem.answer)


def _reads_back(task: Task, problem: Problem, answer: str) -> bool:
    try:
        task.gold(replace(problem, answer=answer))
    except DataError:
        return False
    return True


def _choices(row: Row) -> tuple[str, ...]:
    value = row.get("choices")
    if value is None:
        return ()
    if (
        not isinstance(value, list)
        or len(value) < 2
        or not all(isinstance(v, str) and v.strip() for v in value)
    ):
        raise DataError(f"field 'choices' must be a list of two texts or more, got {short(value)}.")
    return tuple(encodable(v, "choices") for v in value)


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
                context.append(("", (encodable(paragraph, "context"),)))
            case [str() as title, str() as only]:
                context.append((encodable(title, "context"), (encodable(only, "context"),)))
            case [str() as title, [*sentences]] if all(isinstance(s, str) for s in sentences):
                title = encodable(title, "context")
                context.append((title, tuple(encodable(s, "context") for s in sentences)))
            case _:
                raise DataError(
                    "field 'context' must be a list of paragraphs, each a text or [title, "
                    "[sentence, …]], "
                    f"got {short(paragraph)}."
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
                f"got {short(item)}."
            )
        pieces.append((item["kind"], item["text"]))
    joined = "".join(piece for _, piece in pieces)
    if joined == text:
        return tuple(pieces)
    if joined != rationale or not pieces:
        at = _first_difference(joined, rationale)
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


def _first_difference(first: str, second: str) -> int:
    """Place of the first character that differs."""
    for place, (character, other) in enumerate(zip(first, second, strict=False)):
        if character != other:
            return place
    return min(len(first), len(second))
