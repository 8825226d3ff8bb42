"""Further test sets in the terminal: in 80 columns, with the difference from the baseline."""

from __future__ import annotations

from smallsteps.report.terminal_sets import MOST_SETS, sets_tables

from .conftest import further_results, printed, results


def test_each_set_has_its_figure_and_the_difference_from_the_baseline() -> None:
    (table,) = sets_tables(results(**further_results("svamp", "gsm8k/hard")))
    text = printed(table)
    for shown in ("svamp", "gsm8k/hard", "all sets", "n = 390", "36.2", "+6.2*", "+3.1 to +9.4"):
        assert shown in text
    assert "−0.4*" not in text and "−0.4" in text, "its interval includes zero"
    assert "difference from direct" in text and "each counted once" in text


def test_many_sets_stand_in_several_tables_of_80_columns() -> None:
    names = [f"multiarith/part-{n}" for n in range(MOST_SETS)]
    tables = sets_tables(results(**further_results(*names)))
    assert len(tables) == 2, "the sets, and all of them"
    text = "".join(map(printed, tables))
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert [table.caption is None for table in tables] == [True, False]


def test_results_of_an_older_version_have_figures_and_say_how_to_get_the_tests() -> None:
    old = results(further_tests=further_results("svamp")["further_tests"])
    text = " ".join("".join(map(printed, sets_tables(old))).split())
    assert "36.2" in text and "the run's command, typed again, adds them" in text
    assert sets_tables(results()) == []
