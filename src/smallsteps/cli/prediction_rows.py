"""Rows of predictions, by `smallsteps solve` or any other tool, and `Prediction` records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from smallsteps.errors import DataError
from smallsteps.records import Kind, Prediction, Problem, Stopped
from smallsteps.tasks import Task
from smallsteps.tasks.fields import names_of, scalar, type_name
from smallsteps.tasks.files import at

MAX_TOKENS = 2**53
"""Whole numbers up to here are exact as floats."""


def prediction_row(prediction: Prediction) -> dict[str, Any]:
    """The row that `smallsteps solve` writes."""
    return {
        "id": prediction.problem_id,
        "text": prediction.text,
        "segments": [{"kind": kind, "text": text} for kind, text in prediction.segments],
        "answer": prediction.answer,
        "stopped": prediction.stopped,
        "tokens": prediction.tokens,
    }


def prediction_of(
    row: Mapping[str, Any],
    place: str,
    task: Task | None = None,
    problems: Mapping[str, Problem] | None = None,
    lenient: bool = False,
) -> Prediction:
    """The prediction in a row: `id` and `answer` (null: none), or `id` and `text`.

    From a text, `task` extracts the answer, with the choices of its problem. lenient: answers that
    are null or missing are extracted by the lenient rule. Raises DataError, which begins with
    `place`, where a field is missing or of another type."""
    with at(place):
        identifier = scalar(row, "id")
        if identifier is None:
            raise DataError(
                f"no field 'id'. The row has: {names_of(row)}. Expected id and text, or id and "
                'answer, such as {"id": …, "text": …}'
            )
        if "text" not in row and "answer" not in row:
            raise DataError(
                "neither 'text' nor 'answer'. Expected id and text, or id and answer (null: none), "
                "as `smallsteps solve` and `guide` write them"
            )
        text, answer = _text(row, "text"), scalar(row, "answer")
        may_extract = answer is None and (lenient or "answer" not in row)
        if may_extract and text is not None and task is not None:
            answer = task.extract(text, lenient, (problems or {}).get(identifier))
        return Prediction(
            id=identifier,
            problem_id=identifier,
            text=text or _text(row, "rationale") or "",
            segments=_segments(row.get("segments")),
            answer=answer,
            stopped=_stopped(row.get("stopped")),
            tokens=_tokens(row.get("tokens")),
            author="file",
        )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise DataError(f"field {name!r} must be text, got {type_name(value)}. Write it in quotes.")
    return value.encode("utf-8", "replace").decode("utf-8")  # replaces half characters


def _segments(value: object) -> tuple[tuple[Kind | None, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _no_segments(type_name(value))
    return tuple(_segment(item) for item in value)


def _segment(item: object) -> tuple[Kind | None, str]:
    kind, text = (item.get("kind"), item.get("text")) if isinstance(item, dict) else (None, None)
    if not isinstance(text, str):
        raise _no_segments(f"{type_name(item)} in it")
    for known in (None, *get_args(Kind)):
        if kind == known:
            return known, text
    raise _no_segments(f"{type_name(item)} in it")


def _no_segments(value: str) -> DataError:
    return DataError(
        'field \'segments\' must be a list of {"kind": "ES", "AS" or null, "text": "…"}, '
        f"got {value}."
    )


def _stopped(value: object) -> Stopped:
    known: Sequence[Stopped] = get_args(Stopped)
    if value is None:
        return "end"
    for name in known:
        if value == name:
            return name
    raise DataError(
        f"field 'stopped' must be {', '.join(known)} or null, got {json.dumps(value)[:40]}."
    )


def _tokens(value: object) -> int:
    if value is None:
        return 0
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= MAX_TOKENS
        and value == int(value)
    ):
        return int(value)
    raise DataError(f"field 'tokens' must be a whole number from 0, got {json.dumps(value)[:40]}.")
