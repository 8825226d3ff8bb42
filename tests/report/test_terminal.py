"""The tables of a run in the terminal: every figure in 80 columns."""

from __future__ import annotations

from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.terminal import points_table, results_table, tables

from .conftest import (
    arm_result,
    comparison,
    further_results,
    plateau_results,
    pooled_result,
    printed,
    results,
    results_of,
    untrained,
)


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


def test_further_test_sets_stand_below_the_results() -> None:
    found = tables(results(**further_results("svamp")))
    assert [str(table.title) for table in found] == ["Pens", "Further test sets"]
