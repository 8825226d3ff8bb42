"""Rating sheets for people: CSV files with a rationale per row and an empty column per aspect.

A sheet is blind: it names neither the source of a rationale nor any score, its rows are shuffled,
and its ids are digests, since ids such as `gpt-17` tell who wrote the text. A text file beside it
explains the scale, in the words that a chat model reads as a judge (`judge_prompts.py`)."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallsteps.disk import atomic_file, write_text
from smallsteps.errors import DataError, counted, nearest
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.prompted_judge import LEAST, MOST, to_rating
from smallsteps.quality.rated import Rated
from smallsteps.tasks.files import read_rows
from smallsteps.teaching.prompts import Prompt

TEXT_COLUMNS = ("id", "question", "context", "rationale")
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""Signs with which a spreadsheet takes a cell for a formula."""

RatingsByAspect = dict[str, dict[str, int]]
"""Aspect → id of a rationale → rating, 1 to 5."""


def sheet_id(item: Rated) -> str:
    """The id of a rationale in a sheet: it changes with the text, and no spreadsheet takes it for a
    number."""
    text = json.dumps([item.id, item.question, item.text])
    return "r" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:10]


def sheet_paths(path: Path, raters: int) -> list[Path]:
    """The files of `raters` sheets: `sheet.csv`, or `sheet-1.csv` and so on."""
    if raters == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, raters + 1)]


def explanation_path(path: Path) -> Path:
    """The text file that explains the sheets at `path`."""
    return path.with_name(f"{path.stem}-scale.txt")


def write_sheets(
    items: Sequence[Rated],
    path: Path,
    prompts: Mapping[str, Prompt],
    raters: int = 1,
    seed: int = 0,
) -> list[Path]:
    """Writes a sheet per rater, each in an order of its own, and the explanation; their paths.
    `prompts`: aspect → prompt whose [system] message explains it."""
    explanations = {aspect: _explanation(prompt) for aspect, prompt in prompts.items()}
    paths = sheet_paths(path, raters)
    for number, sheet in enumerate(paths):
        shuffled = random.Random(f"sheet/{seed}/{number}").sample(items, len(items))
        _write_sheet(sheet, shuffled, list(prompts))
    write_text(explanation_path(path), _scale_text(explanations))
    return [*paths, explanation_path(path)]


def _write_sheet(path: Path, items: Sequence[Rated], aspects: Sequence[str]) -> None:
    with (
        atomic_file(path) as draft,
        # a spreadsheet knows UTF-8 by the mark at the beginning
        draft.open("w", encoding="utf-8-sig", newline="", errors="replace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([*TEXT_COLUMNS, *aspects])
        for item in items:
            texts = (item.question, "\n".join(item.context), item.text)
            writer.writerow([sheet_id(item), *map(_as_text, texts), *("" for _ in aspects)])


def _as_text(cell: str) -> str:
    """`cell`, quoted where a spreadsheet would run it as a formula."""
    return f"'{cell}" if cell.lstrip(" \n").startswith(FORMULA_SIGNS) else cell


def _explanation(prompt: Prompt) -> str:
    """The [system] messages of a prompt."""
    texts = [template for role, template in prompt.templates if role == "system"]
    if not texts:
        raise DataError(
            f"prompt {prompt.name}: no [system] message, which explains the aspect to raters. "
            "Add one."
        )
    return "\n\n".join(texts)


def _scale_text(explanations: Mapping[str, str]) -> str:
    head = (
        f"Rate each rationale in each column with a whole number from {LEAST} to {MOST}. Leave a "
        "cell empty where you cannot tell. Rate every column alone. Do not change the column "
        "`id`, the names of the columns, or the texts; the order of the rows does not matter. Save "
        "the file as CSV. Do not talk about the rows with other raters before all have finished."
    )
    parts = [f"{aspect.upper()}\n\n{text}" for aspect, text in explanations.items()]
    return "\n\n".join([head, *parts]) + "\n"


def read_ratings(path: Path, items: Sequence[Rated]) -> RatingsByAspect:
    """The ratings in a filled sheet, by the ids of `items`. Empty cells are left out.

    Raises DataError where the file is no sheet of these rationales, or a cell is no rating."""
    by_sheet_id = {sheet_id(item): item.id for item in items}
    ratings: RatingsByAspect = {}
    seen: dict[str, int] = {}
    for line, row in read_rows(path):
        place = f"{path}:{line}"
        if "id" not in row:
            raise DataError(f"{place}: no `id`. Expected a sheet that `quality --sheet` wrote.")
        number = str(row["id"]).strip()
        if number not in by_sheet_id:
            raise DataError(
                f"{place}: no rationale has the id {number!r}. Name the file that the sheet was "
                "made from; its texts must be as they were."
            )
        if number in seen:
            raise DataError(f"{place}: the id {number!r} stands on line {seen[number]} already.")
        seen[number] = line
        for column, cell in row.items():
            if column in TEXT_COLUMNS or not str(cell).strip():
                continue
            if column not in ASPECTS:
                raise DataError(f"{place}: no aspect {column!r}.{nearest(column, ASPECTS)}")
            ratings.setdefault(column, {})[by_sheet_id[number]] = _rating(
                str(cell).strip(), place, column
            )
    if not ratings:
        raise DataError(f"{path}: no rating in {counted(len(seen), 'row')}. Name a filled sheet.")
    return ratings


def _rating(text: str, place: str, column: str) -> int:
    if text not in map(str, range(LEAST, MOST + 1)):
        raise DataError(
            f"{place}: {column} is {text[:40]!r}, expected a whole number from {LEAST} to {MOST}, "
            "or an empty cell."
        )
    return int(text)


def read_judged(path: Path, items: Sequence[Rated]) -> RatingsByAspect:
    """The scores that a judge gave, rows of `quality --out`, as the nearest ratings. Raises
    DataError where a row is none, or its rationale is not among `items`."""
    ids = {item.id for item in items}
    ratings: RatingsByAspect = {}
    for line, row in read_rows(path):
        if row.get("id") not in ids:
            raise DataError(
                f"{path}:{line}: no rationale has the id {row.get('id')!r}. Name scores of the "
                "same file."
            )
        for aspect in ASPECTS:
            score = row.get(aspect)
            if score is None:
                continue
            is_number = isinstance(score, (int, float)) and not isinstance(score, bool)
            if not is_number or not 0 <= score <= 1:
                raise DataError(
                    f"{path}:{line}: {aspect} is {score!r}, expected a number from 0 to 1, as "
                    "`quality --out` writes."
                )
            ratings.setdefault(aspect, {})[row["id"]] = to_rating(score)
    if not ratings:
        raise DataError(f"{path}: no scores in it. Name a file that `quality --out` wrote.")
    return ratings
