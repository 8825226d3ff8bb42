"""Tables of the page as columns: one that no row fills is left out, and on a narrow screen each row
is a card on which every figure has the label of its column. Shown by `table.html`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from markupsafe import Markup, escape

from smallsteps.experiment.result_record import Figure
from smallsteps.report.formats import number

R = TypeVar("R")
EMPTY = ("", "–")


@dataclass(frozen=True)
class Column:
    """One figure of all rows."""

    label: str
    cells: Sequence[str]
    """Text, or Markup."""

    @classmethod
    def of(cls, label: str, rows: Iterable[R], cell: Callable[[R], str]) -> Self:
        return cls(label, [cell(row) for row in rows])

    @property
    def empty(self) -> bool:
        return all(cell in EMPTY for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """The columns behind a column of headers."""

    label: str
    """What it is called for those who do not see it."""
    headers: Sequence[str]
    """Of each row."""
    columns: Sequence[Column]
    first_header: str = "Arm"
    starts: Sequence[bool] = ()
    """Whether a row begins a group; empty: each does."""
    small: bool = False

    def filled(self) -> Self:
        """The table without columns that no row fills."""
        return replace(self, columns=[column for column in self.columns if not column.empty])


def arm_and_seed(name: str, seed: int) -> Markup:
    """The header of a row: an arm at a seed."""
    return Markup("<span>{} <small>seed {}</small></span>").format(name, seed)


def with_interval(figure: Figure) -> Markup:
    """A figure and below it its 95 % interval."""
    interval = f"{number(figure.low)} to {number(figure.high)}"
    return Markup('<span class="value">{}</span> <span class="range-text">{}</span>').format(
        number(figure.value), interval
    )


def change(first: float | None, last: float | None, digits: int) -> Markup:
    """Two figures, before and after, which may stand on two lines."""
    return Markup("{} → <wbr>{}").format(
        escape(number(first, digits)), escape(number(last, digits))
    )
