"""Chains in the terminal: tags beside colours, control characters shown and not obeyed."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from smallsteps.records import Segment
from smallsteps.report.terminal_segments import coloured, segment_printer


def test_the_kinds_can_be_told_apart_without_colour() -> None:
    chain = [("ES", "Ann has 3 boxes, "), ("AS", "so 12 pens."), (None, "whole")]
    assert coloured(chain).plain == "[ES] Ann has 3 boxes, [AS] so 12 pens. whole"
    assert coloured([Segment("s", "r", "AS", "so 12.")]).plain == "[AS] so 12."
    styles = {str(span.style) for span in coloured(chain).spans}
    assert {"cyan", "yellow"} <= styles


def test_generated_escape_sequences_are_shown_not_obeyed() -> None:
    """The trap: a chain with ESC ] or ESC [2J would clear the screen or set its title."""
    text = coloured([("ES", "a\x1b[2Jb\x07\x9b31m[red]c")]).plain
    assert text == "[ES] a␛[2Jb␇�31m[red]c"


def test_live_segments_are_printed_one_by_one_and_unwrapped() -> None:
    console = Console(file=StringIO(), width=20)
    show = segment_printer(console)
    show("ES", "Ann has 3 boxes with 4 pens each, ")
    assert console.file.getvalue() == "[ES] Ann has 3 boxes with 4 pens each,\n"  # type: ignore[attr-defined]
    show("AS", " ")  # an empty segment is no line
    show(None, "whole")
    assert console.file.getvalue().count("\n") == 2  # type: ignore[attr-defined]
    assert console.file.getvalue().endswith("\nwhole\n")  # type: ignore[attr-defined]


def test_a_kind_that_nobody_stated_is_judged_and_marked_so() -> None:
    console = Console(file=StringIO(), width=80)
    show = segment_printer(console, "Ann has 3 boxes with 4 pens each.")
    show(None, "Ann has 3 boxes with 4 pens each,")
    show(None, "so she has 3 x 4 = 12 pens.")
    show("AS", "Ann has 3 boxes.")
    lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined]
    assert [line.split(" ")[0] for line in lines[:-1]] == ["[ES?]", "[AS?]", "[AS]"]
