"""The table of further test sets: sets in the order of the recipe, each arm beside its test."""

from __future__ import annotations

from smallsteps.experiment.score_results import FurtherComparison
from smallsteps.report.further_sets import (
    UNTESTED,
    further_names,
    set_columns,
    set_rows,
    sets_section,
    untested,
)

from .conftest import comparison, further_result, further_results, results, results_of

SETS = ("svamp", "asdiv")


def test_columns_are_the_sets_in_the_order_of_the_recipe_and_all_of_them() -> None:
    found = results(**further_results(*SETS))
    assert further_names(found) == ["svamp", "asdiv"]
    columns = [(column.title, column.n, column.metric) for column in set_columns(found)]
    assert columns == [
        ("svamp", 200, "accuracy"),
        ("asdiv", 200, "accuracy"),
        ("all sets", 390, "accuracy"),
    ]


def test_a_row_is_an_arm_with_its_tests_set_by_set() -> None:
    rows = {row.name: row for row in set_rows(results(**further_results(*SETS)))}
    assert list(rows) == ["direct", "ases-uni-inter"], "not the arm without a figure"
    cells = rows["ases-uni-inter"].cells
    differences = {name: cell.against.difference for name, cell in cells.items() if cell.against}
    assert differences == {"svamp": 6.2, "asdiv": -0.4, None: 2.5}
    assert rows["direct"].against is None and rows["ases-uni-inter"].against == "direct"
    assert (cells["svamp"].unparsed, cells[None].unparsed) == (3, None)


def test_the_test_against_the_baseline_is_shown_whatever_the_order() -> None:
    """The trap: a method tests its arms against each other as well."""
    found = results(**further_results("svamp"))
    other = FurtherComparison(
        test_set="svamp",
        **comparison("ases-uni-inter", "ases-uni-ent", 9.0, 8.0, 10.0).model_dump(),
    )
    tests = [other, *found.further_comparisons]
    changed = found.model_copy(update={"further_comparisons": tests})
    row = set_rows(changed)[1]
    assert row.cells["svamp"].against is not None
    assert row.cells["svamp"].against.difference == 6.2


def test_untested_figures_say_why() -> None:
    further = further_results("svamp")
    old = results(further_tests=further["further_tests"])
    assert untested(old) == UNTESTED and sets_section(old)["untested"] == UNTESTED
    assert untested(results(**further)) == untested(results()) == ""
    alone = results_of(results().arms[0], further_tests=[further_result("svamp", "direct", 30.0)])
    assert untested(alone) == "", "one arm has nothing to be tested against"


def test_the_section_is_empty_without_further_sets_and_knows_whether_metrics_are_alike() -> None:
    assert sets_section(results()) == {}
    further = further_results("svamp")
    assert sets_section(results(**further))["alike"]
    mixed = [*further["further_tests"], further_result("facts", "direct", 30.0, metric="f1")]
    assert not sets_section(results(**{**further, "further_tests": mixed}))["alike"]
