"""The tables of the page: one scale for all bars, columns that are filled, evaluations first."""

from __future__ import annotations

from kept_runs import make_kept_run
from smallsteps.experiment.results import MethodResults
from smallsteps.experiment.run_facts import BudgetFacts, DataFacts, FeedbackFacts
from smallsteps.experiment.so_far import read_so_far
from smallsteps.report.page_tables import (
    BUDGET_PHRASES,
    DATA_PHRASES,
    MOST_CURVE_ROWS,
    budget_facts,
    comparison_rows,
    curve_rows,
    data_facts,
    filled_costs,
    method_facts,
    plain,
    result_groups,
    runs_table,
)

from .conftest import arm_result, comparison, further_results, pooled_result, results, results_of


def test_all_arms_and_seeds_share_one_scale() -> None:
    arms = [arm_result("direct", 40.0, low=30.0, high=50.0, seed=seed) for seed in (0, 1)]
    pooled = pooled_result("direct", 40.0, low=35.0, high=55.0)
    (group,) = result_groups(results_of(*arms, pooled=[pooled]), {"direct": 0})
    assert group["domain"] == (30.0, 55.0)
    assert [row["arm"].seed for row in group["seeds"]] == [0, 1]


def test_a_scale_of_equal_values_is_not_empty() -> None:
    arm = arm_result("direct", 0.0, low=0.0, high=0.0)
    (group,) = result_groups(results_of(arm), {"direct": 0})
    assert group["domain"] == (-1.0, 1.0) and group["seeds"] == []


def test_a_cost_is_a_column_as_soon_as_one_arm_has_it() -> None:
    arms = [arm_result("direct", 1.0, passes=None), arm_result("full", 1.0, teacher_tokens=5)]
    assert filled_costs(results_of(*arms)) == {
        "train_tokens": True,
        "passes": True,
        "seconds": True,
        "teacher_tokens": True,
        "learning_rate": False,
    }
    assert not filled_costs(results_of(arms[0]))["teacher_tokens"]


def test_tests_over_all_seeds_come_first_and_zero_is_in_the_middle_of_their_bars() -> None:
    found = results(pooled_comparisons=[comparison("ases-uni-ent", "direct", 1, 0, 2, seed=None)])
    rows = comparison_rows(found, {"direct": 0, "ases-uni-inter": 1, "ases-uni-ent": 2})
    assert [row["test"].seed for row in rows] == [None, 0, 0]
    assert all('class="zero" x1="80.0"' in row["bar"] for row in rows)
    assert [row["excludes_zero"] for row in rows] == [False, True, False]


def test_evaluations_stay_where_a_curve_has_too_many_rows() -> None:
    rows = [{"update": n, "metric": 5.0 if n % 100 == 0 else None} for n in range(1, 1_001)]
    shown = curve_rows(rows)
    assert len(shown) <= MOST_CURVE_ROWS
    assert [row["update"] for row in shown if row["metric"]] == list(range(100, 1_001, 100))
    assert curve_rows(rows[:50]) == rows[:50]


def test_what_a_method_reports_without_a_section_of_its_own_is_shown_by_its_name() -> None:
    class PenResults(MethodResults):
        pens: int
        boxes: int | None = None

    assert method_facts(results(methods={"pens": PenResults(pens=3)})) == {"pens: pens": 3}
    assert method_facts(results(**further_results("svamp"))) == {}, "they have a section"


def test_any_value_of_a_record_becomes_one_line_of_text() -> None:
    assert plain({"a": [0.123456789, None], "b": {"c": "d, e"}}) == "a 0.123457, –, b c d, e"


def test_joined_runs_are_listed_with_what_they_learnt_from(tmp_path) -> None:
    folders = [make_kept_run(tmp_path / name, {("direct", 0): [1]}, title=name) for name in "ab"]
    cut_off = make_kept_run(tmp_path / "c", {("direct", 3): [1]}, title="", finished=False)
    table = runs_table([read_so_far(folder) for folder in [*folders, cut_off]])
    columns = {column.label: list(column.cells) for column in table.columns}
    assert list(table.headers) == ["a", "b", "c"], "the folder, where a run has no title"
    assert columns["state"] == ["finished", "finished", "stopped"]
    assert columns["trained on"] == ["10"] * 3 and columns["seeds"] == ["0", "0", "3"]
    assert columns["recipe"][2] == "–"


def test_every_fact_on_data_and_budget_has_a_phrase_of_its_own() -> None:
    """The trap: "closed", "odd" and "wrong" say nothing to a reader."""
    fields = {*DataFacts.model_fields, *FeedbackFacts.model_fields} - {"feedback"}
    assert set(DATA_PHRASES) == fields and len(set(DATA_PHRASES.values())) == len(fields)
    assert set(BUDGET_PHRASES) == set(BudgetFacts.model_fields)
    feedback = FeedbackFacts(
        used={"edited chain": 1}, unused={}, learnt=1, rejected=0, new_questions=0, removed=0
    )
    facts = DataFacts(
        source="s", task="t", train=9, validation=0, test=3, overlap=0, odd=1, feedback=feedback
    )
    shown = data_facts(facts)
    assert shown["left out: too long, or the answer stated before the end"] == 1
    assert shown["for validation"] == "none" and shown["feedback: chains to learn from"] == 1
    assert "feedback: rows not used" not in shown
    budget = BudgetFacts(until="tokens", tokens=9000, update_examples=8)
    assert budget_facts(budget)["examples per update"] == 8
