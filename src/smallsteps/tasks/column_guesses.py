"""Which column of a file probably holds a field that its rows lack, so that a message can say what
to type: `--columns rationale=worked_out`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "question": ("question", "problem", "prompt", "instruction", "query", "input", "exercise"),
    "rationale": (
        "rationale",
        "solution",
        "reasoning",
        "explanation",
        "chain",
        "cot",
        "thought",
        "steps",
        "response",
        "output",
        "completion",
        "worked",
        "answer",
        "text",
    ),
    "answer": ("answer", "result", "gold", "final", "target", "label", "truth", "correct"),
    "context": ("context", "passage", "paragraph", "document", "evidence", "article"),
    "id": ("id", "idx", "index", "uuid", "key", "number"),
}
"""Field → what its column is often called, or what its name contains; the surest first."""
LONG_TEXTS = ("question", "rationale", "context")
"""Fields of several words."""


def columns_option(row: Mapping[str, Any], fields: Sequence[str], ours: Sequence[str]) -> str:
    """What to type so that `fields` are read from the columns of `row`; COLUMN where none of them
    looks like it. `ours`: names with a meaning of their own, which are not given to other fields.

    >>> columns_option({"id": 1, "task text": "What is 1 + 1?"}, ["question"], ["id"])
    "--columns 'question=task text'"
    """
    taken: list[str] = []
    pairs = []
    for field in fields:
        free = {name: row[name] for name in row if name not in taken and name not in ours}
        if field == "rationale" and _is_long(row.get("answer")):  # a chain under the name `answer`
            free["answer"] = row["answer"]
        column = _guess(free, field)
        taken += [] if column is None else [column]
        pairs.append(shlex.quote(f"{field}={column or 'COLUMN'}"))
    return " ".join(f"--columns {pair}" for pair in pairs)


def _guess(row: Mapping[str, Any], field: str) -> str | None:
    """The column that `field` probably stands in."""
    fitting = [name for name, value in row.items() if _fits(value, field)]
    for word in NAMES.get(field, (field,)):
        for name in fitting:
            if word in name.casefold():
                return name
    if field == "rationale":
        long = [name for name in fitting if _is_long(row[name])]
        return max(long, key=lambda name: len(row[name]), default=None)
    if field == "question":
        asking = [name for name in fitting if str(row[name]).rstrip().endswith("?")]
        return asking[0] if len(asking) == 1 else None
    return None


def _fits(value: Any, field: str) -> bool:
    if field == "context":
        return bool(value) and isinstance(value, str | list)
    if field in LONG_TEXTS:
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, str | int | float) and value != ""


def _is_long(value: Any) -> bool:
    """Whether a value is a text of several words."""
    return isinstance(value, str) and len(value.split()) > 3
