"""Three points of each arm, and what the search for its learning rate tried."""

from __future__ import annotations

from smallsteps.report.points_table import (
    point_rows,
    point_titles,
    points_section,
    search_rows,
    search_section,
)

from .conftest import (
    MakeRun,
    arm_result,
    plateau_results,
    point,
    point_comparison,
    read,
    results,
    results_of,
    trained,
)


def test_a_row_holds_figure_difference_and_cost_at_each_point_and_the_time_of_an_answer() -> None:
    rows = {row.name: row for row in point_rows(plateau_results())}
    cell = rows["ases-uni-rouge"].cells["budget"]
    assert (cell.value, cell.tokens, cell.passes, cell.seconds) == (34.0, 200_000, 8.0, 40.0)
    assert cell.against is not None and cell.against.difference == -5.2
    assert rows["direct"].cells["plateau"].against is None
    assert round(rows["ases-uni-rouge"].ratio or 0, 2) == 1.55 and rows["direct"].ratio is None


def test_an_arm_that_trains_nothing_stands_at_the_plateau_with_its_ordinary_test() -> None:
    base = next(row for row in point_rows(plateau_results()) if row.name == "base")
    assert list(base.cells) == ["plateau"]
    assert base.cells["plateau"].tokens is None
    assert base.cells["plateau"].against is not None
    assert base.cells["plateau"].against.difference == -26.8


def test_in_a_sweep_each_arm_is_compared_with_the_one_of_as_many_chains(make_run: MakeRun) -> None:
    names = [f"{way}-limit={n}" for way in ("direct", "uni") for n in (250, 500)]
    found = plateau_results(
        arms=[trained(name, 40.0, 20.0, 30.0) for name in names],
        comparisons=[],
        points=[point("plateau", name, 40.0) for name in names],
        point_comparisons=[
            point_comparison("plateau", f"uni-limit={n}", 2.0, 1.0, f"direct-limit={n}")
            for n in (250, 500)
        ],
    )
    assert [row.against for row in point_rows(found)] == [
        None,
        None,
        "direct-limit=250",
        "direct-limit=500",
    ]
    text = read(make_run(found)).text
    assert "Differences are from the arm named with them" in text
    assert "from direct-limit=250" in text and "from direct-limit=500" in text
    assert "On the test problems: trained to the plateau" in text and "Small budget" not in text


def test_points_that_the_run_has_not_are_no_columns() -> None:
    found = plateau_results(points=[point("plateau", "direct", 40.0)])
    assert list(point_titles(found)) == ["plateau"]
    assert list(point_titles(plateau_results()).values()) == [
        "small budget, 200 k tokens",
        "trained to the plateau",
        "equal passes, 8.0",
    ]


def test_the_page_shows_the_three_points(make_run: MakeRun) -> None:
    text = read(make_run(plateau_results())).text
    row = (
        "34.0 29.9 to 38.3 -5.2 ✓ excludes zero -8.7 to -1.7 200 k 8.0 passes 40.0 s "
        "trained to the plateau 41.4 37.3 to 45.7 +2.2 -0.9 to +5.3 350 k 14.0 passes 1 min 10 s"
    )
    assert row in text
    assert "1.6 × direct" in text and "not trained" in text and "No plateau" not in text


def test_a_plateau_that_was_never_reached_stands_in_the_table(make_run: MakeRun) -> None:
    arms = [
        arm.model_copy(update={"plateau": False}) if arm.name == "direct" else arm
        for arm in plateau_results().arms
    ]
    text = read(make_run(plateau_results(arms=arms))).text
    assert text.count("no plateau") == 1
    assert "No plateau : direct came to the cap of 500 k tokens before a plateau." in text


def test_the_search_shows_each_rate_what_was_chosen_what_diverged_and_its_cost(
    make_run: MakeRun,
) -> None:
    row = search_rows(plateau_results())[0]
    assert (row.name, row.chosen, row.tokens, row.seconds) == ("answer-only", 0.001, 88_000, 18)
    assert search_section(plateau_results())["rates"] == [0.0005, 0.001, 0.01]
    text = read(make_run(plateau_results())).text
    assert "12.0 loss 1.20 15.0 ✓ chosen loss 1.10 diverged 88 k 18.0 s" in text


def test_without_plateau_and_search_there_are_no_such_sections() -> None:
    assert points_section(results()) == {} and search_section(results()) == {}
    assert point_rows(results_of(arm_result("direct", 1.0))) == []
    assert search_section(results_of(trained("direct", 1.0, 1.0, 2.0))) == {}
