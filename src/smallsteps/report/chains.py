"""What the page's chain browser reads: test problems, gold chains, and what each arm wrote.

The page is one file, so this part is bounded: where all problems take more than `MOST_BYTES`, as
many as fit are shown, evenly spread over the test set, and the page says how many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from smallsteps.evaluation.overlap import judged_kind
from smallsteps.experiment.page_files import GoldChain
from smallsteps.records import Problem
from smallsteps.report import figures
from smallsteps.report.run import ShownArm, ShownRun

MOST_BYTES = 2_000_000
"""Bytes of all problems with their chains; the rest of a page takes a few hundred thousand."""
MOST_CHARACTERS = 10_000
"""Characters of one text that are shown; longer texts repeat themselves."""


def chain_browser(run: ShownRun, colours: Mapping[str, int]) -> dict[str, Any]:
    """The browser's data; empty where there is nothing to show.

    Short keys keep the page small. `of`: all test problems; a problem's `n`: its place among them,
    from 1. A cell holds s (segments [[kind, text]]; the kind is "" for a whole chain, and ends in ?
    where it was judged), a (answer), e (how it ended), v (value 0..1 or null), p (whether it was
    parsed) and n (tokens)."""
    arms = [arm for arm in run.arms if arm.predictions]
    if not run.problems or not (run.gold or arms):
        return {}
    entries = [
        _entry(place, problem, run, arms) for place, problem in enumerate(run.problems, start=1)
    ]
    entries = spread(entries, MOST_BYTES)
    grades = [grade.value for arm in run.arms for grade in arm.grades.values()]
    return {
        "binary": all(value in (0, 1) for value in grades),
        "of": len(run.problems),
        "problems": [entry["problem"] for entry in entries],
        "gold": [entry["gold"] for entry in entries],
        "runs": [
            {
                "name": arm.name,
                "seed": arm.seed,
                "colour": colours[arm.name] % figures.COLOURS,
                "cells": [entry["cells"][column] for entry in entries],
            }
            for column, arm in enumerate(arms)
        ],
    }


def spread(entries: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """As many entries as take at most `most` bytes as JSON, evenly spread; one at least.

    >>> [entry["n"] for entry in spread([{"n": n} for n in range(1000, 1010)], most=40)]
    [1000, 1002, 1005, 1007]
    """
    sizes = [_size(entry) for entry in entries]
    count = len(entries)
    while True:
        places = [n * len(entries) // count for n in range(count)]
        total = sum(sizes[place] for place in places)
        if total <= most or count == 1:
            return [entries[place] for place in places]
        count = max(1, min(count - 1, int(count * most / total)))


def _size(entry: dict[str, Any]) -> int:
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace")) + 5 * sum(
        text.count(sign) for sign in "<>&"
    )  # written as \\u003c


def _entry(place: int, problem: Problem, run: ShownRun, arms: Sequence[ShownArm]) -> dict[str, Any]:
    shown = {
        "n": place,
        "id": problem.id,
        "q": _cut(problem.question),
        "a": problem.answer,
        "c": list(problem.choices),
    }
    cells = [_cell(arm, problem.id, problem.question) for arm in arms]
    return {"problem": shown, "gold": _gold_cell(run.gold.get(problem.id)), "cells": cells}


def _cell(arm: ShownArm, problem_id: str, question: str) -> dict[str, Any] | None:
    prediction = arm.predictions.get(problem_id)
    if prediction is None:
        return None
    grade = arm.grades.get(prediction.id)
    cut = len(prediction.segments) > 1 or any(kind for kind, _ in prediction.segments)
    segments = [[_shown_kind(kind, question, text), text] for kind, text in prediction.segments]
    return {
        "s": _bounded(segments if cut else [["", prediction.text]]),
        "a": grade.answer if grade else prediction.answer,
        "e": prediction.stopped,
        "v": round(grade.value, 4) if grade else None,
        "p": grade.parsed if grade else prediction.answer is not None,
        "n": prediction.tokens,
    }


def _shown_kind(kind: str | None, question: str, text: str) -> str:
    """The kind that the student stated; else the kind that the segment looks like, as ES? or
    AS?."""
    return kind or (f"{judged_kind(question, text)}?" if text.strip() else "")


def _cut(text: str, most: int = MOST_CHARACTERS) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most]} … ({len(text) - most:,} characters more)"


def _bounded(segments: list[list[str]]) -> list[list[str]]:
    """The segments of a chain, cut after MOST_CHARACTERS."""
    left = MOST_CHARACTERS
    kept: list[list[str]] = []
    for number, (kind, text) in enumerate(segments):
        if len(text) > left:
            more = sum(len(rest) for _, rest in segments[number:]) - left
            return [*kept, [kind, f"{text[:left]} … ({more:,} characters more)"]]
        kept.append([kind, text])
        left -= len(text)
    return kept


def _gold_cell(chain: GoldChain | None) -> dict[str, Any] | None:
    """s (segments), c (the segmentation that cut them; null: labels of the data) and t ([end offset
    in the chain, entropy] of each token; empty where entropies are not known).

    Offsets count UTF-16 units, as JavaScript does."""
    if chain is None:
        return None
    segments = [list(segment) for segment in chain.segments]
    if sum(len(text) for _, text in segments) > MOST_CHARACTERS:
        return {"s": _bounded(segments), "t": [], "c": chain.cut_by}
    ends = accumulate(
        len(text.encode("utf-16-le", "surrogatepass")) // 2 for text, _ in chain.tokens
    )
    tokens = [
        [end, round(entropy, 3)] for end, (_, entropy) in zip(ends, chain.tokens, strict=True)
    ]
    return {"s": segments, "t": tokens, "c": chain.cut_by}
