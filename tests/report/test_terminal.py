"""The terminal: every figure in 80 columns, tags beside colours, control characters shown and not
obeyed."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from smallsteps.experiment.result_record import Figure
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.records import Segment
from smallsteps.report.terminal import (
    coloured,
    points_table,
    results_table,
    rounds_table,
    segment_printer,
    tables,
)

from .conftest import (
    arm_result,
    comparison,
    plateau_results,
    pooled_result,
    results,
    results_of,
    round_result,
    untrained,
)


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
    untrained = round_result(arm="no-contrast", mistakes=400)
    changes = {
        "round": 1,
        "exam": 74.1,
        "mistakes": 220,
        "repaired": 156,
        "broken": 11,
        "calls": 736,
        "kept": 701,
        "teacher_tokens": 65_700,
        "test": Figure(value=36.0, low=31.8, high=40.2),
    }
    rounds = [untrained, untrained.model_copy(update=changes)]
    part = TailoredResults(teacher="solver", equal="anchors", rounds=rounds)
    text = printed(rounds_table(part))
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


def test_the_tables_of_methods_come_before_the_results() -> None:
    part = TailoredResults(teacher="solver", equal="anchors", rounds=[])
    found = tables(results(methods={"tailored": part}))
    assert [str(table.title) for table in found] == ["Rounds", "Pens"]
    assert [str(table.title) for table in tables(results())] == ["Pens"]


def test_one_arm_has_no_column_of_differences() -> None:
    text = printed(results_table(results_of(arm_result("direct", 50.0))))
    assert "against" not in text and "50.0" in text
    assert printed(results_table(results_of()))


def test_the_column_of_training_tokens_is_left_out_where_no_arm_is_trained() -> None:
    untrained = arm_result("standard", 50.0, train_tokens=None, passes=None)
    assert "tokens" not in printed(results_table(results_of(untrained)))
    mixed = printed(results_table(results_of(untrained, arm_result("direct", 50.0))))
    assert "tokens" in mixed and "1.53 M" in mixed


def test_each_seed_stands_below_its_arm_with_its_own_test() -> None:
    names = ("direct", "uni")
    found = results_of(
        *(arm_result(name, 50.0 + seed, seed=seed) for name in names for seed in (0, 1)),
        comparisons=[
            comparison("uni", "direct", 2.0 + seed, 1.0, 3.5, seed=seed, p_mcnemar=0.0312)
            for seed in (0, 1)
        ],
        pooled=[pooled_result(name, 50.5) for name in names],
        pooled_comparisons=[comparison("uni", "direct", 2.5, -0.5, 5.5, seed=None, p_mcnemar=None)],
    )
    text = printed(results_table(found))
    assert text.count("seed 1") == 2 and "+2.0*" in text and "+3.0*" in text and "p = 0.031" in text
    assert "+2.5 " in text and "+2.5*" not in text


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


def test_the_three_points_stand_in_80_columns_below_the_results() -> None:
    text = printed(points_table(plateau_results()))
    for shown in (
        "small budget",
        "200 k tokens",
        "equal passes",
        "34.0 (29.9–38.3)",
        "−5.2*",
        "−8.7 to −1.7",
        "+2.2",
        "350 k tokens",
        "not trained",
        "difference from direct",
    ):
        assert shown in text
    assert "…" not in text and "+2.2*" not in text and "no plateau" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert [str(table.title) for table in tables(plateau_results())][-1] == "On the test problems"


def test_a_plateau_that_was_never_reached_is_said_in_the_terminal_too() -> None:
    arms = [
        arm.model_copy(update={"plateau": False}) if arm.name == "direct" else arm
        for arm in plateau_results().arms
    ]
    text = printed(points_table(plateau_results(arms=arms)))
    assert text.count("no plateau") == 2, "in the cell, and what it means"
    assert "no plateau: training came to its cap before" in " ".join(text.split())


def test_one_learning_rate_stands_below_the_table_and_several_in_it() -> None:
    arms = [arm_result(name, 50.0, learning_rate=3e-4) for name in ("direct", "uni")]
    text = printed(results_table(results_of(untrained("base", 1.0), *arms)))
    assert "learning rate of all trained arms: 0.0003" in text and "rate\n" not in text
    arms[1] = arm_result("uni", 50.0, learning_rate=1e-3)
    lines = printed(results_table(results_of(*arms))).splitlines()
    assert not any("of all trained arms" in line for line in lines)
    assert [any(rate in line for line in lines) for rate in ("0.0003", "0.001")] == [True, True]
