"""Tables of the page: no column of dashes, a label on every figure."""

from __future__ import annotations

from smallsteps.report.columns import Column, Table, arm_and_seed, change, with_interval

from .conftest import EVIL, FIGURE


def test_a_column_that_no_row_fills_is_left_out_and_one_that_some_fill_stays() -> None:
    columns = [Column("a", ["–", ""]), Column("b", ["–", "1"]), Column("c", ["0", "0"])]
    table = Table("T", ["x", "y"], columns).filled()
    assert [column.label for column in table.columns] == ["b", "c"]


def test_cells_are_made_row_by_row() -> None:
    assert Column.of("n", [1, 2], lambda row: str(10 * row)).cells == ["10", "20"]


def test_headers_and_figures_escape_what_they_show() -> None:
    assert "<img" not in arm_and_seed(EVIL, 0)
    assert with_interval(FIGURE) == (
        '<span class="value">50.0</span> <span class="range-text">45.0 to 55.0</span>'
    )
    assert change(0.125, None, 2) == "0.12 → <wbr>–"
