"""Comparisons are paired, and seeds are pooled over questions and seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import DataError
from smallsteps.evaluation.comparison import compare_scores, join_sets, pool_scores
from smallsteps.evaluation.grade import grade

from .conftest import TASK, graded, prediction, problems


def test_a_comparison_is_paired() -> None:
    baseline = graded([True] * 40 + [False] * 60)
    score = graded([True] * 52 + [False] * 48)
    found = compare_scores(score, baseline)
    assert (found.difference, found.only_score, found.only_baseline, found.n) == (
        pytest.approx(12.0),
        12,
        0,
        100,
    )
    assert found.p_mcnemar == pytest.approx(2 / 2**12)
    assert 0 < found.low < 12 < found.high and found.p_bootstrap < 0.01
    other = compare_scores(baseline, score)
    assert (other.low, other.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert str(found).startswith("+12.0 [+") and "McNemar p = 0.000, n = 100" in str(found)


def test_bleu_is_compared_by_bootstrap_alone() -> None:
    gold = problems(6)
    references = {p.id: f"Ann has {p.answer} boxes with four pens each." for p in gold}
    exact = [replace(prediction(p, p.answer), text=references[p.id]) for p in gold]
    loose = [
        replace(prediction(p, p.answer), text=f"Ann has {p.answer} boxes with pens.") for p in gold
    ]
    scores = [grade(g, gold, TASK, metric="bleu", references=references) for g in (exact, loose)]
    found = compare_scores(*scores)
    assert found.p_mcnemar is None and found.difference > 0 and found.low > 0


def test_seeds_are_pooled_over_questions_and_seeds() -> None:
    runs = [graded([True] * k + [False] * (100 - k), seed=s) for s, k in enumerate((30, 50, 70))]
    pooled = pool_scores(runs)
    assert (pooled.value, pooled.n, pooled.seeds) == (pytest.approx(50.0), 100, (0, 1, 2))
    assert len(pooled.grades) == 300 and pooled.stopped == {"stop_sign": 300}
    assert pooled.high - pooled.low > 1.3 * (runs[1].high - runs[1].low)
    assert "seed:0,1,2" in pooled.signature() and pooled.to_row()["seed"] == [0, 1, 2]
    found = compare_scores(pooled, pool_scores([runs[0]] * 3))
    assert found.difference == pytest.approx(20.0) and found.p_mcnemar is None


def test_what_cannot_be_paired_is_refused() -> None:
    score = graded([True, False])
    with pytest.raises(DataError, match="different problems"):
        compare_scores(score, graded([True]))
    with pytest.raises(DataError, match="Cannot pair 2 seeds with 1"):
        compare_scores(pool_scores([score, score]), score)
    with pytest.raises(DataError, match="Cannot compare accuracy with rouge_l"):
        compare_scores(grade([], problems(2), TASK, metric="rouge_l"), score)
    with pytest.raises(DataError, match="no scores to pool"):
        pool_scores([])


def test_sets_are_joined_over_their_questions_each_counted_once() -> None:
    """The trap: the mean of 100 and 50 is 75, and ids of two sets may be the same."""
    first, second = graded([True, True]), graded([False, False, True, True])
    joined = join_sets([first, second], [{"q0", "q1"}, {"q1", "q2", "q3"}], resamples=100)
    assert joined is not None
    assert (joined.n, joined.value) == (5, pytest.approx(80.0))
    assert len(set(joined.problem_ids)) == 5
    assert [verdict.value for verdict in joined.grades] == [1, 1, 0, 1, 1]
    alone = graded([True, True, False, True, True])
    assert (joined.low, joined.high) == (alone.low, alone.high), "Wilson's, over five questions"
    other = join_sets([graded([False] * 2), second], [{"q0", "q1"}, {"q1", "q2", "q3"}])
    assert other is not None
    assert compare_scores(joined, other).only_score == 2


def test_sets_of_other_metrics_or_without_a_mean_are_not_joined() -> None:
    gold = problems(2)
    references = {p.id: "Ann has four boxes." for p in gold}
    bleu = grade(
        [prediction(p, "1") for p in gold], gold, TASK, metric="bleu", references=references
    )
    right = graded([True, False])
    ids = [{"q0", "q1"}] * 2
    assert join_sets([bleu, bleu], ids) is None
    assert join_sets([right, replace(right, metric="f1")], ids) is None
