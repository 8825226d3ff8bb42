"""Runs are joined by their answers to the same questions, or refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kept_runs import PROBLEMS, VALIDATION, make_kept_run, score_of
from report.conftest import add_part, round_result
from smallsteps.errors import RecipeError, RunFolderError
from smallsteps.evaluation.comparison import compare_scores
from smallsteps.experiment.so_far import read_so_far
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.cost_curves import cost_figures
from smallsteps.report.joined import join_runs
from smallsteps.report.page import render
from smallsteps.report.terminal import results_table
from smallsteps.report.verdict import verdict

FIRST = {("base", 0): [2], ("direct", 0): [1, 2, 3]}
SECOND = {("direct", 0): [0], ("ases-uni-rouge", 0): [0, 1, 2, 3]}


def joined(tmp_path: Path, *runs: dict, baseline: str | None = None, **more):
    folders = [
        make_kept_run(tmp_path / name, right, **(more if name == "b" else {}))
        for name, right in zip("abc", runs, strict=False)
    ]
    return join_runs([read_so_far(folder) for folder in folders], baseline)


def test_an_arm_of_several_runs_has_its_run_as_a_suffix_and_all_meet_one_baseline(tmp_path):
    results = joined(tmp_path, FIRST, SECOND).results
    assert [arm.name for arm in results.arms] == [
        "base",
        "direct@a",
        "direct@b",
        "ases-uni-rouge",
    ]
    assert [(test.arm, test.against) for test in results.comparisons] == [
        ("base", "direct@a"),
        ("direct@b", "direct@a"),
        ("ases-uni-rouge", "direct@a"),
    ]
    across = results.comparisons[-1]
    one = compare_scores(
        score_of([0, 1, 2, 3], 0, PROBLEMS), score_of([1, 2, 3], 0, PROBLEMS), resamples=100
    )
    assert across.difference == one.difference == pytest.approx(100 / 6)
    assert (across.only_arm_right, across.only_against_right) == (1, 0)


def test_answers_are_paired_by_question_whatever_their_order(tmp_path):
    """The trap: paired by place, equal answers would differ."""
    right = {("direct", 0): [0, 1]}
    results = joined(tmp_path, right, right, problems=PROBLEMS[::-1]).results
    (test,) = results.comparisons
    assert (test.only_arm_right, test.only_against_right) == (0, 0)


def test_runs_of_other_seeds_are_pooled_and_tested_over_all(tmp_path):
    first = {("direct", 0): [1], ("direct", 1): [1, 2]}
    second = {("ases-uni-rouge", 2): [1, 2, 3], ("ases-uni-rouge", 3): [1, 2, 3]}
    results = joined(tmp_path, first, second).results
    assert [(arm.name, arm.seeds) for arm in results.pooled] == [
        ("direct", [0, 1]),
        ("ases-uni-rouge", [2, 3]),
    ]
    (test,) = results.pooled_comparisons
    assert test.difference == pytest.approx(25) and results.comparisons == []


def test_the_student_that_is_best_on_validation_is_named_with_its_folder(tmp_path):
    run = joined(tmp_path, FIRST, SECOND)
    assert run.results.best is not None
    assert run.results.best.name == "ases-uni-rouge"
    assert Path(run.results.best.folder).is_relative_to(tmp_path / "b")
    assert "ases-uni-rouge, best on validation, reaches 66.7 %" in verdict(run.results).text


def test_other_validation_questions_leave_curves_and_choice_out(tmp_path):
    others = [replace(VALIDATION[0], question="How many?"), *VALIDATION[1:]]
    run = joined(tmp_path, FIRST, SECOND, validation=others)
    assert "different validation questions" in run.notice
    assert run.results.best is None and cost_figures(run.results) == []
    assert "leads with 66.7 %" in verdict(run.results).text


def test_rounds_of_tailored_learning_are_drawn_under_the_names_of_the_joined_table(tmp_path):
    folders = [make_kept_run(tmp_path / name, FIRST) for name in "ab"]
    rounds = [round_result(arm="direct", round=n, train_tokens=100 * n) for n in range(3)]
    for folder in folders:
        part = TailoredResults(teacher="solver", equal="anchors", rounds=rounds)
        add_part(folder, "tailored", part)
    results = join_runs([read_so_far(folder) for folder in folders]).results
    tailored = results.methods["tailored"]
    assert isinstance(tailored, TailoredResults) and tailored.teacher == "solver"
    assert [row.arm for row in tailored.rounds] == ["direct@a"] * 3 + ["direct@b"] * 3


def test_a_run_that_is_not_finished_joins_with_what_it_has_and_says_so(tmp_path):
    run = joined(tmp_path, FIRST, SECOND, finished=False)
    assert run.notice.startswith("b: Not finished: 2 of 2")
    assert len(run.results.arms) == 4


def test_a_page_joins_curves_chains_and_the_list_of_runs(tmp_path):
    page = render(joined(tmp_path, FIRST, SECOND))
    for text in ("Joined: a, b", "direct@b", "How many pens are 1 and 1 pens?", 'id="runs"'):
        assert text in page, text
    assert 'id="provenance"' not in page, "which would be that of the first run"
    assert page.count("learns whole chains") == 1, "an arm of two runs is explained once"


def test_in_the_terminal_the_run_of_an_arm_stands_below_its_name(tmp_path):
    table = results_table(joined(tmp_path, FIRST, SECOND).results)
    assert "direct\n@b" in [str(cell) for cell in table.columns[0].cells]


def test_another_baseline_may_be_named(tmp_path):
    results = joined(tmp_path, FIRST, SECOND, baseline="direct@b").results
    assert {test.against for test in results.comparisons} == {"direct@b"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("direct", "It stands in several runs: direct@a, direct@b"),
        ("bas", "no arm of this name. Did you mean 'base'"),
    ],
)
def test_a_baseline_that_is_no_arm_is_refused_with_its_names(name, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        joined(tmp_path, FIRST, SECOND, baseline=name)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"problems": PROBLEMS[:5]}, r"not those of .*a \(5 questions instead of 6\)"),
        (
            {"problems": [*PROBLEMS[:5], replace(PROBLEMS[5], id="p9", question="How many?")]},
            "p9, 'How many\\?', is not among them",
        ),
        (
            {"problems": [*PROBLEMS[:5], replace(PROBLEMS[5], id="p9")]},
            "they read the same, but some have other ids: p9 is not among them",
        ),
        (
            {"problems": [replace(PROBLEMS[0], question="How many?"), *PROBLEMS[1:]]},
            "p0 is another question, or has another answer",
        ),
        ({"task": "text"}, "its task is text, that of .* is numbers"),
    ],
)
def test_runs_of_other_test_questions_are_refused(more, message, tmp_path):
    with pytest.raises(RunFolderError, match=message):
        joined(tmp_path, FIRST, {("direct", 0): [0]}, **more)


def test_a_run_named_twice_is_refused_under_any_name(tmp_path):
    folder = make_kept_run(tmp_path / "a", FIRST)
    (tmp_path / "link").symlink_to(folder)
    runs = [read_so_far(folder), read_so_far(tmp_path / "link")]
    with pytest.raises(RunFolderError, match="named twice"):
        join_runs(runs)


def test_a_run_without_a_graded_arm_is_refused(tmp_path):
    folders = [make_kept_run(tmp_path / name, FIRST, finished=False) for name in "ab"]
    for row in folders[1].glob("arms/*/page/result.json"):
        row.unlink()
    with pytest.raises(RunFolderError, match="b: no arm is graded yet"):
        join_runs([read_so_far(folder) for folder in folders])


def test_arms_are_compared_on_the_further_test_sets_that_all_runs_have(tmp_path):
    first = make_kept_run(tmp_path / "a", FIRST, further=["numbers", "numbers/b"])
    second = make_kept_run(tmp_path / "b", SECOND, further=["numbers/b", "numbers/c"])
    shown = join_runs([read_so_far(folder) for folder in (first, second)])
    tests = shown.results.further_comparisons
    assert [(test.test_set, test.arm, test.difference) for test in tests] == [
        ("numbers/b", "base", -50.0),
        ("numbers/b", "direct@b", -50.0),
        ("numbers/b", "ases-uni-rouge", 25.0),
    ]
    assert "Left out: the further test sets numbers, numbers/c;" in shown.notice
    assert "Further test sets" in render(shown)


def test_a_further_test_set_with_other_questions_is_left_out(tmp_path):
    folders = [make_kept_run(tmp_path / name, FIRST, further=["numbers"]) for name in "ab"]
    path = folders[1] / "further/numbers/problems.jsonl"
    path.write_text(path.read_text().replace("How many pens are 0", "How many boxes are 0"))
    shown = join_runs([read_so_far(folder) for folder in folders])
    assert shown.results.further_tests == []
    assert "Left out: the further test set numbers;" in shown.notice


def test_another_baseline_holds_for_further_test_sets_too(tmp_path):
    run = read_so_far(make_kept_run(tmp_path / "a", FIRST, further=["numbers"]))
    (test,) = join_runs([run], baseline="base").results.further_comparisons
    assert (test.arm, test.against, test.difference) == ("direct", "base", 50.0)
