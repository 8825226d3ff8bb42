"""`smallsteps quality --sheet` and `--ratings`: sheets for people, and their agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.cli.rating import read_rationales
from smallsteps.errors import RecipeError, counted
from smallsteps.outputs import check_output
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.rated import Rated
from smallsteps.quality.rater_agreement import RaterAgreement, agreements
from smallsteps.quality.sheets import (
    explanation_path,
    read_judged,
    read_ratings,
    sheet_paths,
    write_sheets,
)
from smallsteps.report.visible import visible_line
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.sources import check_exists


@dataclass(frozen=True)
class Sheets:
    """Which sheets are written."""

    raters: int
    seed: int
    aspects: tuple[str, ...] | None
    """None: all that people can rate."""
    prompts: str | None
    """Folder of the prompts whose [system] messages explain the aspects; None: the bundled ones."""


def write_blank_sheets(source: InputFile, path: Path, sheets: Sheets) -> None:
    """Writes the sheets and the explanation of their scale.

    Raises RecipeError for an aspect that people are not asked for."""
    for file in (*sheet_paths(path, sheets.raters), explanation_path(path)):
        check_output(file, "--sheet", inputs=[source.path])
    items = _items(source)
    prompts = read_judge_prompts(sheets.prompts)
    for aspect in sheets.aspects or ():
        if aspect not in prompts:
            raise RecipeError(
                f"--aspect {aspect}: has no prompt that explains it to raters. Expected one of "
                f"{', '.join(prompts)}; or add {aspect}.txt to a folder of --judge-prompts."
            )
    has_context = any(item.context for item in items)
    chosen = {
        aspect: prompt
        for aspect, prompt in prompts.items()
        if (sheets.aspects is None or aspect in sheets.aspects)
        and (has_context or ASPECTS[aspect].needs != "context")
    }
    if not chosen:
        raise RecipeError("--sheet: no rationale has a context, which these aspects compare with.")
    *files, explanation = write_sheets(items, path, chosen, sheets.raters, sheets.seed)
    names = ", ".join(str(file) for file in files)
    say(f"{counted(len(items), 'rationale')} to rate in {names}; {explanation} explains the scale")


def compare_sheets(
    source: InputFile, ratings: Sequence[Path], scores: Sequence[Path], out: Path | None
) -> None:
    """Prints the agreement of raters with each other and with judges; `out`: writes it too.

    Raises RecipeError where there is nothing to compare."""
    for file in (*ratings, *scores):
        check_exists(file)
    if len(ratings) + len(scores) < 2:
        raise RecipeError(
            f"--ratings {ratings[0]}: one rater and no judge have nothing to compare. Name another "
            "--ratings, or --scores with the rows of `quality --out`."
        )
    if out is not None:
        check_output(out, inputs=[source.path, *ratings, *scores])
    items = _items(source)
    names = _names([*ratings, *scores])
    raters = {names[path]: read_ratings(path, items) for path in ratings}
    judges = {names[path]: read_judged(path, items) for path in scores}
    compared = list(agreements(raters, judges))
    if not compared:
        raise RecipeError("--ratings: no rationale was rated in the same aspect by two of them.")
    if out is not None:
        write_rows(out, (agreement.to_row() for agreement in compared))
    _print_agreements(compared)


def _items(source: InputFile) -> list[Rated]:
    with Terminal() as reporter:
        return read_rationales(source, get_task(source.task_name), reporter, allow_empty=True)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Each file → its name in the table: without folder and ending, where that is unique. Raises
    RecipeError where a file is named twice."""
    count = Counter(path.stem for path in paths)
    names = {path: path.stem if count[path.stem] == 1 else str(path) for path in paths}
    if len(names) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise RecipeError(f"{twice}: named twice. Leave one out.")
    return names


def _print_agreements(compared: Sequence[RaterAgreement]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("aspect")
    table.add_column("rater and rater or judge")
    for column in ("weighted kappa", "rank correlation", "n"):
        table.add_column(column, justify="right")
    for agreement in compared:
        correlation = agreement.rank_correlation
        table.add_row(
            agreement.aspect,
            visible_line(f"{agreement.first} – {agreement.second}"),
            f"{agreement.kappa:.2f} [{agreement.low:.2f}, {agreement.high:.2f}]",
            "–" if correlation is None else f"{correlation:.2f}",
            f"{agreement.n:,}",
        )
    open_console().print(table)
