"""What is read of a run before its end is what stands in its results at the end."""

from __future__ import annotations

import pytest
import yaml

from kept_runs import make_kept_run
from smallsteps.experiment.results import read_results
from smallsteps.experiment.so_far import read_so_far
from smallsteps.experiment.unfinished import results_so_far
from tiny_runs import tiny_content


def test_arms_are_those_graded_in_the_order_of_the_recipe_and_tested_in_pairs(tmp_path):
    right = {("base", 0): [2], ("direct", 0): [1, 2], ("direct", 1): [1]}
    folder = make_kept_run(
        tmp_path / "run", right, planned=["direct", "base"], seeds=[0, 1], finished=False
    )
    results, planned = results_so_far(folder)
    assert [(arm.name, arm.seed) for arm in results.arms] == [
        ("direct", 0),
        ("base", 0),
        ("direct", 1),
    ]
    assert planned == 4
    (test,) = results.pooled_comparisons
    assert (test.arm, test.against) == ("base", "direct")
    assert test.difference == pytest.approx(-100 / 6), "over seed 0, which both have"
    assert results.best is not None and (results.best.name, results.best.seed) == ("direct", 0)


def test_an_arm_whose_baseline_is_not_graded_yet_is_not_tested(tmp_path):
    folder = make_kept_run(
        tmp_path / "run", {("base", 0): [2]}, planned=["base", "direct"], finished=False
    )
    results, _ = results_so_far(folder)
    assert results.comparisons == [] and len(results.arms) == 1


def test_a_run_that_has_graded_nothing_has_no_arms(tmp_path):
    folder = make_kept_run(tmp_path / "run", {("base", 0): [2]}, finished=False)
    (folder / "arms/base-seed0/page/result.json").unlink()
    results, planned = results_so_far(folder)
    assert (results.arms, results.best, planned) == ([], None, 1)


def test_a_run_killed_before_its_results_shows_the_figures_that_it_ends_with(command, tmp_path):
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump(tiny_content(arms=["base", "direct"], seeds=[0, 1], train={"budget": 1500}))
    )
    out = tmp_path / "run"
    arguments = ("run", str(tmp_path / "tiny.yaml"), "--threads", "1", "--out", str(out))
    assert command(*arguments, fail_at="before-manifest:gold") == -9, command.errors()
    before = read_so_far(out)
    assert (before.state, before.graded, before.planned) == ("stopped", 4, 4)
    assert command(*arguments) == 0, command.errors()
    after = read_results(out)
    for name in ("arms", "comparisons", "pooled", "pooled_comparisons", "best"):
        assert getattr(before.results, name) == getattr(after, name), name


def test_further_test_sets_are_compared_before_the_run_has_ended(tmp_path):
    right = {("direct", 0): [1, 2], ("base", 0): [2], ("direct", 1): [0]}
    folder = make_kept_run(
        tmp_path / "run",
        right,
        planned=["direct", "base"],
        seeds=[0, 1],
        finished=False,
        further=["numbers", "numbers/b"],
    )
    results, _ = results_so_far(folder)
    tests = [(row.test_set, row.arm, row.difference) for row in results.further_comparisons]
    assert tests == [(name, "base", -25.0) for name in ("numbers", "numbers/b", None)]
    assert [row.seeds for row in results.further_tests] == [[0, 1], [0]] * 2
