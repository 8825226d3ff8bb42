"""Further test sets in the terminal: a column for each set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.results import Results
from smallsteps.report.arm_texts import mark_notes
from smallsteps.report.formats import number
from smallsteps.report.further_sets import SetCell, SetRow, TestSet, set_columns, set_rows, untested
from smallsteps.report.summaries import excludes_zero
from smallsteps.report.terminal_table import arm_cell, interval_lines, new_table
from smallsteps.report.visible import visible

MOST_SETS = 4
"""Columns of one table: more do not fit into 80 characters."""


def sets_tables(results: Results) -> list[Table]:
    """The arms on the further test sets, and on all of them together: the figure with its interval,
    and the paired difference from the baseline with its interval. Of many sets several tables."""
    rows, columns = set_rows(results), set_columns(results)
    parts = [columns[at : at + MOST_SETS] for at in range(0, len(columns), MOST_SETS)]
    tables = [_table(rows, part) for part in parts if rows]
    if tables:
        tables[-1].caption = Text("\n".join(_notes(results, rows, columns)))
        tables[-1].caption_justify = "left"
    return tables


def _table(rows: Sequence[SetRow], columns: Sequence[TestSet]) -> Table:
    table = new_table("Further test sets")
    table.add_column("arm", overflow="fold", min_width=8)
    for column in columns:
        header = f"{visible(column.title)}\n{metric_name(column.metric)}\nn = {column.n:,}"
        table.add_column(Text(header), justify="right", overflow="fold")
    for row in rows:
        table.add_section()
        cells = [_lines(row.cells.get(column.name)) for column in columns]
        table.add_row(arm_cell(row.name, row.control), *map(Text, cells))
    return table


def _lines(cell: SetCell | None) -> str:
    """The lines of one cell; empty where the arm has no figure on the set."""
    if cell is None:
        return ""
    figure = interval_lines(cell.value, cell.low, cell.high)
    if cell.against is None:
        return figure
    test = cell.against
    star = "*" if excludes_zero(test) else ""
    return (
        f"{figure}\n{number(test.difference, sign=True)}{star}\n"
        f"{number(test.low, sign=True)} to {number(test.high, sign=True)}"
    )


def _notes(results: Results, rows: Sequence[SetRow], columns: Sequence[TestSet]) -> list[str]:
    against = list(dict.fromkeys(row.against for row in rows if row.against))
    notes = []
    if against:
        names = visible(against[0]) if len(against) == 1 else "the arm that each is tested against"
        notes.append(f"below: difference from {names}; * its 95 % interval excludes zero")
    if columns[-1].name is None:
        notes.append(f"{columns[-1].title}: the mean over all questions, each counted once")
    notes += filter(None, [untested(results)])
    return [*notes, *mark_notes(rows)]
