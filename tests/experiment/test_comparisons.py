"""Arms are paired seed by seed, and pooled where there are several seeds."""

from __future__ import annotations

import pytest

from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.comparisons import compare_arms, compare_further
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task

PROBLEMS = [Problem(f"p{n}", "How many?", str(n)) for n in range(6)]


def score(right: int, seed: int) -> Score:
    """The first `right` of six problems answered right."""
    predictions = [
        Prediction(f"a{n}", p.id, "", (), p.answer if n < right else "99", "end")
        for n, p in enumerate(PROBLEMS)
    ]
    return grade(predictions, PROBLEMS, get_task("numbers"), seed=seed, resamples=100)


def test_one_seed_is_tested_and_not_pooled() -> None:
    scores = {"direct": {0: score(2, 0)}, "uni": {0: score(5, 0)}}
    compared = compare_arms(scores, [("uni", "direct")], resamples=100)
    (test,) = compared.comparisons
    assert (test.arm, test.against, test.seed) == ("uni", "direct", 0)
    assert (test.only_arm_right, test.only_against_right) == (3, 0)
    assert test.difference == pytest.approx(50)
    assert compared.pooled == [] == compared.pooled_comparisons


def test_several_seeds_are_paired_with_their_own_and_pooled_over_all() -> None:
    """The trap: seeds paired crosswise would give differences of 50 and 50."""
    scores = {
        "direct": {7: score(2, 7), 8: score(4, 8)},
        "uni": {7: score(5, 7), 8: score(6, 8)},
    }
    compared = compare_arms(scores, [("uni", "direct")], resamples=100)
    assert [(test.seed, round(test.difference, 6)) for test in compared.comparisons] == [
        (7, 50.0),
        (8, round(100 / 3, 6)),
    ]
    assert [(arm.name, arm.seeds) for arm in compared.pooled] == [
        ("direct", [7, 8]),
        ("uni", [7, 8]),
    ]
    assert [arm.value for arm in compared.pooled] == pytest.approx([50, 1100 / 12])
    (test,) = compared.pooled_comparisons
    pooled = [pool_scores(list(scores[name].values()), resamples=100) for name in ("uni", "direct")]
    assert test.seed is None and test.p_mcnemar is None
    assert test.p_bootstrap == compare_scores(*pooled, resamples=100).p_bootstrap


def test_arms_with_unequal_seeds_are_paired_over_the_seeds_that_both_have() -> None:
    """The trap: a run that is under way has the baseline at more seeds than the other arms."""
    scores = {"direct": {7: score(2, 7), 8: score(6, 8)}, "uni": {7: score(5, 7)}}
    compared = compare_arms(scores, [("uni", "direct")], resamples=100)
    assert [test.seed for test in compared.comparisons] == [7]
    (test,) = compared.pooled_comparisons
    assert test.difference == pytest.approx(50), "against seed 7 alone"
    assert [(arm.name, arm.seeds) for arm in compared.pooled] == [("direct", [7, 8]), ("uni", [7])]


def test_arms_without_a_shared_seed_are_paired_only_where_they_have_equally_many() -> None:
    scores = {"a": {0: score(2, 0)}, "b": {1: score(5, 1)}, "c": {2: score(1, 2), 3: score(1, 3)}}
    compared = compare_arms(scores, [("b", "a"), ("c", "a")], resamples=100)
    assert compared.comparisons == []
    assert [(test.arm, test.seed) for test in compared.pooled_comparisons] == [("b", None)]


IDS = {name: frozenset(problem.id for problem in PROBLEMS) for name in ("svamp", "asdiv")}
PAIRS = [("uni", "direct")]


def test_further_sets_are_tested_over_all_seeds_and_their_questions_together() -> None:
    """The trap: the micro-average must pair each question with itself, set by set."""
    svamp = {"direct": {7: score(2, 7), 8: score(4, 8)}, "uni": {7: score(5, 7), 8: score(6, 8)}}
    asdiv = {"direct": {7: score(6, 7), 8: score(6, 8)}, "uni": {7: score(0, 7), 8: score(2, 8)}}
    compared = compare_further({"svamp": svamp, "asdiv": asdiv}, PAIRS, IDS, resamples=100)
    assert [(row.test_set, row.name, row.seeds) for row in compared.further_tests] == [
        (name, arm, [7, 8]) for name in ("svamp", "asdiv") for arm in ("direct", "uni")
    ]
    tests = {row.test_set: row for row in compared.further_comparisons}
    assert list(tests) == ["svamp", "asdiv", None]
    assert {row.seed for row in tests.values()} == {None}
    assert tests["svamp"].difference == pytest.approx(1100 / 12 - 50)
    assert tests[None].difference == pytest.approx((1100 / 12 - 50 + 100 / 6 - 100) / 2)
    assert [(row.name, row.n, row.seeds) for row in compared.further_joined] == [
        ("direct", 12, [7, 8]),
        ("uni", 12, [7, 8]),
    ]


def test_with_one_seed_a_further_set_has_mcnemars_test_as_well() -> None:
    sets = {"svamp": {"direct": {3: score(2, 3)}, "uni": {3: score(5, 3)}}}
    compared = compare_further(sets, PAIRS, IDS, resamples=100)
    (test,) = compared.further_comparisons
    assert (test.test_set, test.seed, test.only_arm_right) == ("svamp", 3, 3)
    assert test.p_mcnemar is not None
    assert compared.further_joined == [], "one set alone is not joined"


def test_an_arm_that_has_not_answered_a_set_is_not_tested_there_nor_on_all() -> None:
    """The trap: a run that is under way, or a joined one whose arms have other sets."""
    svamp = {"direct": {0: score(2, 0)}, "uni": {0: score(5, 0)}}
    asdiv = {"direct": {0: score(2, 0)}}
    compared = compare_further({"svamp": svamp, "asdiv": asdiv}, PAIRS, IDS, resamples=100)
    assert [row.test_set for row in compared.further_comparisons] == ["svamp"]
    assert [row.name for row in compared.further_joined] == ["direct"]


def test_a_baseline_with_more_seeds_is_paired_over_the_shared_ones_on_further_sets_too() -> None:
    svamp = {"direct": {7: score(2, 7), 8: score(6, 8)}, "uni": {7: score(5, 7)}}
    compared = compare_further({"svamp": svamp}, PAIRS, IDS, resamples=100)
    (test,) = compared.further_comparisons
    assert test.difference == pytest.approx(50), "against seed 7 alone"
