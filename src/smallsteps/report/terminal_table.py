"""What the tables of the terminal share: their look, the cell that names an arm, and a figure with
its interval."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from smallsteps.report.arm_texts import arm_mark
from smallsteps.report.formats import number
from smallsteps.report.visible import visible


def new_table(title: str) -> Table:
    """An empty table under a title."""
    return Table(
        title=Text(visible(title), style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def arm_cell(name: str, control: bool) -> Text:
    """The cell that names an arm. Where runs are joined, its run stands on a line of its own; where
    it is no arm for use, its mark below."""
    mark = arm_mark(name, control)
    shown = visible(name).replace("@", "\n@")
    return Text.assemble((shown, "bold"), f"\n{mark}" if mark else "")


def interval_lines(value: float, low: float, high: float) -> str:
    """A figure, and below it its interval."""
    return f"{number(value)}\n{number(low)}–{number(high)}"
