"""Multiple choice as data sets of the hub have it → our `choices` and `answer`: CommonsenseQA,
OpenBookQA, ARC, AQuA, MMLU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from smallsteps.tasks.context_shapes import parsed_cell
from smallsteps.tasks.notes import Notes

Row = dict[str, Any]

_OPTION = re.compile(r"\s*\(?([A-Za-z])\s?[).:]\s*(?=\S)")


def name_choices(row: Row, notes: Notes) -> None:
    """Options with labels → their texts, and the answer's label (or place) → the text it names."""
    question = row.get("question")
    if isinstance(question, dict) and isinstance(question.get("stem"), str):
        # CommonsenseQA as its authors publish it
        row["question"] = question["stem"]
        row.setdefault("choices", question.get("choices"))
    if "question" not in row and isinstance(row.get("question_stem"), str):  # OpenBookQA
        row["question"] = row.pop("question_stem")
    name = "choices" if row.get("choices") is not None else "options"
    value = parsed_cell(row.get(name))
    labelled = _labelled(value)
    if labelled is None:
        return
    labels, texts = labelled
    key = next((k for k in ("answerKey", "answer_key") if row.get(k) is not None), None)
    if key is not None and row.get("answer") is None:
        row["answer"] = row.pop(key) or None
    elif _is_aqua(row, name, labels):
        row["answer"] = row.pop("correct")
    answer = row.get("answer")
    plain_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
    if name == "options" or not plain_list:
        notes.shapes[f"multiple choice (`{name}` with labels)"] += 1
        row.pop("options", None)
    row["choices"] = texts
    if isinstance(answer, bool) or answer is None or str(answer) in texts:
        return
    if str(answer).strip() in labels:
        row["answer"] = texts[labels.index(str(answer).strip())]
    elif isinstance(answer, int) and 0 <= answer < len(texts):  # MMLU
        row["answer"] = texts[answer]
        notes.shapes["answers as places in `choices`, counted from 0"] += 1


def _is_aqua(row: Row, name: str, labels: Sequence[str]) -> bool:
    """Whether `correct` holds the label of the answer."""
    label = row.get("correct")
    unanswered = name == "options" and row.get("answer") is None
    return unanswered and isinstance(label, str) and label.strip() in labels


def _labelled(value: Any) -> tuple[list[str], list[str]] | None:
    """(labels, texts) of options in one of the shapes of the hub; None where they are in none."""
    match value:
        case {"text": [*texts], "label": [*labels]} if len(texts) == len(labels):
            pass
        case {"text": [*texts]}:
            labels = list(ascii_uppercase[: len(texts)])
        case [{"text": _, "label": _}, *_] if all(
            isinstance(v, dict) and "label" in v and "text" in v for v in value
        ):
            labels, texts = [v["label"] for v in value], [v["text"] for v in value]
        case dict() if value and all(len(str(k)) == 1 for k in value):  # {"A": "zoo", "B": "river"}
            labels, texts = list(value), list(value.values())
        case [str(), str(), *_] if all(isinstance(v, str) for v in value):
            starts = [_OPTION.match(v) for v in value]
            letters = "".join(m[1].upper() for m in starts if m)
            labels, texts = list(ascii_uppercase[: len(value)]), value
            if letters == ascii_uppercase[: len(value)]:  # AQuA: "A)21"
                texts = [v[m.end() :] for v, m in zip(value, starts, strict=True) if m]
        case _:
            return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return [str(label).strip() for label in labels], [str(text) for text in texts]
