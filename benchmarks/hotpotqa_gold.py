"""HotpotQA with its gold paragraphs alone, for LM-guided chain of thought: questions with other
models' rationales to learn from, questions without rationales to validate and to test on.

    python benchmarks/hotpotqa_gold.py DATA OUT [--test 300] [--validation 60]

DATA has the folders hotpotqa and hotpotqa_cot. OUT gets train.jsonl, validation.jsonl and
test.jsonl.

    train        hotpotqa_cot, both files; their contexts are gold paragraphs, or what a search found
    validation   the first rows of hotpotqa/train, without the paragraphs that support nothing
    test         the first rows of hotpotqa/dev, likewise

Left out are answers that the task `hotpotqa` cannot read back ("Vol. 2"), rows without a context,
and of two rows with one question the later one, in the order test, training, validation. The
rationales of react_gpt4 were written by a model that searched; its sentences about searching ("I
need to find out ...") are left out, since the paragraphs are given here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multihop_chains import rows

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.sentences import sentences

Row = dict[str, Any]

COLUMNS = ("id", "question", "context", "answer", "rationale", "predicted", "supporting_facts")
ABOUT_SEARCHING = re.compile(r"(?:(?:first|now|then|next|so|but),? )?I (?!know\b)", re.IGNORECASE)
"""The beginning of a sentence about what its writer does."""


def with_gold_paragraphs(row: Row) -> Row:
    """The row without the paragraphs that hold no supporting fact."""
    titles = {title for title, _ in row["supporting_facts"]}
    return {**row, "context": [part for part in row["context"] if part[0] in titles]}


def without_searching(rationale: str) -> str:
    """The sentences that state something.

    >>> without_searching("I need to search Ann. Ann was born in Rome. So I have the answer.")
    'Ann was born in Rome.'
    """
    return " ".join(part for part in sentences(rationale) if not ABOUT_SEARCHING.match(part))


def training_rows(data: Path) -> Iterator[Row]:
    """Rows with a rationale; the data's own comparison of answers is left to the task."""
    yield from rows(data / "hotpotqa_cot/gold_context.jsonl")
    for row in rows(data / "hotpotqa_cot/react_gpt4.jsonl"):
        yield {**row, "rationale": without_searching(row["rationale"])}


def gold_rows(file: Path) -> Iterator[Row]:
    """Rows with their gold paragraphs alone."""
    yield from map(with_gold_paragraphs, rows(file))


def usable(row: Row, seen: set[str]) -> bool:
    """Whether the row has a context, a readable answer, and a question that was not seen yet."""
    task = get_task("hotpotqa")
    problem = Problem(id="", question=row["question"], answer=str(row["answer"]))
    try:
        task.gold(problem)
    except DataError:
        return False
    context = "".join(sentence for _, part in row["context"] for sentence in part)
    return bool(context.strip()) and row["question"].strip().lower() not in seen


def part(candidates: Iterator[Row], seen: set[str], count: int | None = None) -> list[Row]:
    """The first `count` usable rows; their questions are added to `seen`."""
    chosen: list[Row] = []
    for row in candidates:
        if len(chosen) == count:
            break
        if usable(row, seen) and row.get("rationale", "-"):
            seen.add(row["question"].strip().lower())
            chosen.append({name: row[name] for name in COLUMNS if name in row})
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description="HotpotQA with its gold paragraphs alone.")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--validation", type=int, default=60)
    options = parser.parse_args()
    seen: set[str] = set()
    hotpotqa = options.data / "hotpotqa"
    parts = {
        "test": part(gold_rows(hotpotqa / "dev.jsonl"), seen, options.test),
        "train": part(training_rows(options.data), seen),
        "validation": part(gold_rows(hotpotqa / "train.jsonl"), seen, options.validation),
    }
    for name, chosen in parts.items():
        write_rows(options.out / f"{name}.jsonl", chosen)
    sizes = ", ".join(f"{len(chosen)} to {name}" for name, chosen in parts.items())
    print(f"{sizes} in {options.out}")


if __name__ == "__main__":
    main()
