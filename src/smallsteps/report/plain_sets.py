"""Figures on further test sets for other programs: objects for JSON, columns for CSV, and the cells
of a table that people read (Markdown, LaTeX)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from smallsteps.experiment.results import Results
from smallsteps.report.arm_texts import arm_mark
from smallsteps.report.formats import metric_title, number
from smallsteps.report.further_sets import SetCell, SetRow, TestSet, set_columns, set_rows


@dataclass(frozen=True)
class SetFigure:
    """One arm on one set: the keys in JSON, and of CSV behind the name of the set."""

    arm: str
    test_set: str | None
    """Null: the questions of all sets together, each counted once."""
    seeds: list[int]
    metric: str
    value: float
    low: float
    high: float
    n: int
    unparsed: int | None
    against: str | None
    """The arm of the paired test; null: the arm was not tested."""
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_bootstrap: float | None
    p_mcnemar: float | None


CSV_KEYS = ("value", "low", "high", "n", "difference", "difference_low", "difference_high")
"""What CSV holds of a set; its arm, seeds and baseline are those of the row."""


def further_rows(results: Results) -> list[dict[str, Any]]:
    """One object for each set and arm."""
    return [asdict(figure) for figure in _figures(results)]


def further_columns(results: Results) -> dict[str, dict[str, Any]]:
    """Arm → name of a column → its cell."""
    columns: dict[str, dict[str, Any]] = {}
    for figure in _figures(results):
        name, cells = figure.test_set or "all_sets", asdict(figure)
        of_arm = columns.setdefault(figure.arm, {})
        of_arm |= {f"{name}.{key}": cells[key] for key in CSV_KEYS}
    return columns


def _figures(results: Results) -> Iterator[SetFigure]:
    rows = set_rows(results)
    for column in set_columns(results):
        for row in rows:
            cell = row.cells.get(column.name)
            if cell is not None:
                yield _figure(row, column, cell)


def _figure(row: SetRow, column: TestSet, cell: SetCell) -> SetFigure:
    test = cell.against
    return SetFigure(
        arm=row.name,
        test_set=column.name,
        seeds=list(row.seeds),
        metric=column.metric,
        value=cell.value,
        low=cell.low,
        high=cell.high,
        n=column.n,
        unparsed=cell.unparsed,
        against=None if test is None else test.against,
        difference=None if test is None else test.difference,
        difference_low=None if test is None else test.low,
        difference_high=None if test is None else test.high,
        p_bootstrap=None if test is None else test.p_bootstrap,
        p_mcnemar=None if test is None else test.p_mcnemar,
    )


# ---- tables that people read ----


def further_cells(results: Results) -> list[list[str]]:
    """The header and the rows of a table with two columns for each set; empty where there are no
    further test sets."""
    rows, columns = set_rows(results), set_columns(results)
    if not rows:
        return []
    against = {row.against for row in rows if row.against is not None}
    header = ["Arm"]
    for column in columns:
        header.append(f"{column.title}: {metric_title(column.metric)} (95 %), n = {column.n}")
        if against:
            of_one = f"Difference from {min(against)}" if len(against) == 1 else "Difference"
            header.append(f"{of_one} (95 %)")
    return [header, *(_cells(row, columns, bool(against)) for row in rows)]


def _cells(row: SetRow, columns: list[TestSet], tested: bool) -> list[str]:
    cells = [marked_arm(row.name, row.control)]
    for column in columns:
        cell = row.cells.get(column.name)
        cells.append("–" if cell is None else with_interval(cell.value, cell.low, cell.high))
        test = None if cell is None else cell.against
        if tested:
            cells.append(
                "–" if test is None else starred_difference(test.difference, test.low, test.high)
            )
    return cells


def marked_arm(name: str, control: bool) -> str:
    """An arm, with its mark where it is no arm for use."""
    mark = arm_mark(name, control)
    return f"{name} ({mark})" if mark else name


def with_interval(value: float, low: float, high: float) -> str:
    """A figure and its interval on one line."""
    return f"{number(value)} ({number(low)} to {number(high)})"


def starred_difference(value: float, low: float, high: float) -> str:
    """A difference and its interval on one line; a star where the interval excludes zero."""
    star = "*" if low > 0 or high < 0 else ""
    return (
        f"{number(value, sign=True)}{star} ({number(low, sign=True)} to {number(high, sign=True)})"
    )
