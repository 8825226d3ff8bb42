"""The terminal: every figure in 80 columns, tags beside colours, control characters shown and not
obeyed."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from smallsteps.records import Segment
from smallsteps.report.terminal import coloured, results_table, rounds_table, segment_printer

from .conftest import arm_row, results


def printed(thing: object, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_holds_the_figures_of_results_json_in_80_columns() -> None:
    text = printed(results_table(results()))
    for shown in (
        "66.4",
        "62.3–70.7",
        "+8.2*",
        "+2.7 to +13.6",
        "p < 0.001",
        "1.53 M",
        "11.2 ×",
        "of 500",
        "stop 489",
    ):
        assert shown in text
    assert "…" not in text  # nothing was cut
    assert "+5.6*" not in text  # its interval includes zero


def test_the_rounds_of_each_student_stand_in_80_columns() -> None:
    first = {
        "arm": "no-contrast",
        "seed": 0,
        "round": 0,
        "exam": 0.0,
        "mistakes": 400,
        "repaired": 0,
        "broken": 0,
        "calls": 0,
        "kept": 0,
        "teacher_tokens": 0,
        "validation": 0.0,
        "validation_low": 0.0,
        "validation_high": 3.6,
        "test": 0.0,
        "test_low": 0.0,
        "test_high": 0.7,
    }
    second = {
        **first,
        "round": 1,
        "exam": 74.1,
        "mistakes": 220,
        "repaired": 156,
        "broken": 11,
        "calls": 736,
        "kept": 701,
        "teacher_tokens": 65_700,
        "test": 36.0,
        "test_low": 31.8,
        "test_high": 40.2,
    }
    text = printed(rounds_table({"rounds": [first, second]}))
    for shown in (
        "no-contrast",
        "seed 0",
        "74.1",
        "31.8–40.2",
        "220",
        "156",
        "11",
        "701 of 736",
        "65.7 k",
    ):
        assert shown in text
    assert "…" not in text and text.count("no-contrast") == 1


def test_one_arm_has_no_column_of_differences() -> None:
    text = printed(results_table({"arms": [arm_row("direct", 50.0)]}))
    assert "against" not in text and "50.0" in text
    assert "direct" in printed(results_table({"arms": [{"name": "direct"}]}))
    assert printed(results_table({"arms": []}))


def test_each_seed_stands_below_its_arm_with_its_own_test() -> None:
    found = {
        "arms": [
            arm_row(name, 50.0 + seed, seed=seed) for name in ("direct", "uni") for seed in (0, 1)
        ]
    }
    test = {"arm": "uni", "against": "direct", "low": 1.0, "high": 3.0, "p_mcnemar": 0.0312}
    found["comparisons"] = [{**test, "seed": seed, "difference": 2.0 + seed} for seed in (0, 1)]
    text = printed(results_table(found))
    assert text.count("seed 1") == 2 and "+2.0*" in text and "+3.0*" in text and "p = 0.031" in text


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
    show(None, "whole")
    assert console.file.getvalue().endswith("\nwhole\n")  # type: ignore[attr-defined]


def test_a_kind_that_nobody_stated_is_judged_and_marked_so() -> None:
    console = Console(file=StringIO(), width=80)
    show = segment_printer(console, "Ann has 3 boxes with 4 pens each.")
    show(None, "Ann has 3 boxes with 4 pens each,")
    show(None, "so she has 3 x 4 = 12 pens.")
    show("AS", "Ann has 3 boxes.")
    lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined]
    assert [line.split(" ")[0] for line in lines[:-1]] == ["[ES?]", "[AS?]", "[AS]"]
