"""Contexts and supporting facts as data sets of the hub have them (HotpotQA, MuSiQue) → ours."""

from __future__ import annotations

import json
from typing import Any

from smallsteps.errors import DataError
from smallsteps.tasks.notes import Notes

Row = dict[str, Any]


def list_context(row: Row, notes: Notes) -> None:
    """`{"title": [...], "sentences": [[...]]}` → [[title, [sentence, ...]], ...]; supporting facts
    likewise."""
    context = parsed_cell(row.get("context"))
    match context:
        case {"title": [*titles], "sentences": [*bodies]} | {
            "title": [*titles],
            "content": [*bodies],
        }:
            if len(titles) != len(bodies):
                raise DataError(
                    f"field 'context' has {len(titles)} titles and {len(bodies)} lists of "
                    "sentences."
                )
            row["context"] = [list(pair) for pair in zip(titles, bodies, strict=True)]
            notes.shapes["contexts in columns (`title`, `sentences`)"] += 1
        case [dict(), *_]:
            row["context"] = [_paragraph(p) for p in context]
            notes.shapes["paragraphs as objects"] += 1
        case list():
            row["context"] = context
    match parsed_cell(row.get("supporting_facts")):
        case {"title": [*titles], "sent_id": [*places]} if len(titles) == len(places):
            row["supporting_facts"] = [list(pair) for pair in zip(titles, places, strict=True)]
        case [*facts]:
            row["supporting_facts"] = facts


def _paragraph(value: Any) -> Any:
    """[title, text or sentences] of a paragraph that is an object (MuSiQue)."""
    if not isinstance(value, dict):
        return value
    body = next(
        (value[k] for k in ("sentences", "paragraph_text", "text", "content") if value.get(k)), None
    )
    return value if body is None else [str(value.get("title") or ""), body]


def parsed_cell(value: Any) -> Any:
    """A cell of a table that holds a list or an object as JSON; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
