"""What the tables of the terminal share."""

from __future__ import annotations

from smallsteps.report.terminal_table import arm_cell, interval_lines, new_table

from .conftest import printed


def test_an_arm_is_named_with_its_run_and_its_mark_on_lines_of_their_own() -> None:
    assert arm_cell("direct", False).plain == "direct"
    assert arm_cell("direct@mine", True).plain == "direct\n@mine\ncontrol"
    assert arm_cell("a\x1b[2J", False).plain == "a␛[2J", "shown, not obeyed"


def test_a_title_cannot_move_the_cursor() -> None:
    table = new_table("Pens\x1b[2J")
    table.add_column("arm of the run")
    assert "Pens␛[2J" in printed(table)


def test_an_interval_stands_below_its_figure() -> None:
    assert interval_lines(41.25, -0.5, 90) == "41.2\n−0.5–90.0"
