"""No row is lost, and the budget repeats exactly."""

from __future__ import annotations

import random

import pytest

from smallsteps.training.settings import TrainSettings
from smallsteps.training.update_plan import plan_updates


def test_every_row_is_read_once_a_pass_and_the_last_set_is_filled_from_the_next_pass():
    plan = plan_updates([10] * 100, TrainSettings(passes=3, update_examples=64))
    assert plan.updates == 5  # 300 rows in sets of 64: the last one reaches into a fourth pass
    drawn = [i for update in range(plan.updates) for i in plan.members(update)]
    assert len(drawn) == 5 * 64
    for turn in range(3):
        assert sorted(drawn[turn * 100 : (turn + 1) * 100]) == list(range(100))
    assert drawn[:100] != drawn[100:200]


def test_budget_ends_at_the_update_that_reaches_it_and_counts_no_padding():
    tokens = [random.Random(0).randint(5, 90) for _ in range(37)]
    settings = TrainSettings(budget=5000, update_examples=8)
    plan = plan_updates(tokens, settings, seed=3)
    real = [sum(tokens[i] for i in plan.members(update)) for update in range(plan.updates)]
    assert list(plan.tokens) == real
    assert sum(real[:-1]) < 5000 <= sum(real)
    assert plan_updates(tokens, settings, seed=3) == plan
    assert plan_updates(tokens, settings, seed=4).members(0) != plan.members(0)


def test_fewer_rows_than_an_update_holds_are_not_doubled():
    plan = plan_updates([10] * 5, TrainSettings(passes=2))
    assert [sorted(plan.members(u)) for u in range(plan.updates)] == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("count", "passes", "size"),
    [(1000, 20, 64), (300, 20, 16), (96, 20, 8), (96, 1, 8), (5, 20, 5)],
)
def test_updates_are_smaller_where_few_rows_would_make_few_of_them(count, passes, size):
    """The trap: 96 rows for nine updates of 64 teach nothing."""
    by_passes = plan_updates([10] * count, TrainSettings(passes=passes))
    by_budget = plan_updates([10] * count, TrainSettings(budget=10 * count * passes))
    assert by_passes.update_examples == by_budget.update_examples == size
    assert by_passes.updates == by_budget.updates
    named = TrainSettings(passes=passes, update_examples=64)
    assert plan_updates([10] * count, named).update_examples == min(64, count)


def test_rates_rise_over_the_warm_up_tokens_and_follow_half_a_cosine():
    plan = plan_updates([10] * 64, TrainSettings(passes=100, update_examples=64))
    rates = plan.rates("cosine", 0.1)
    assert rates[0] == pytest.approx(0.05)
    assert rates[9] == pytest.approx(0.95)
    assert rates[54] == pytest.approx(0.5, abs=0.02)
    assert 0 < rates[-1] < 0.001
    assert plan.rates("constant", 0.0) == [1.0] * 100
    assert plan.rates("linear", 0.0)[50] == pytest.approx(0.495)


def test_evaluations_lie_at_equal_shares_of_the_tokens_and_the_last_at_the_end():
    plan = plan_updates([10] * 64, TrainSettings(passes=95, update_examples=64))
    marks = plan.evaluations(10)
    assert (len(marks), marks[0], marks[-1]) == (10, 10, 95)
    assert plan_updates([10] * 64, TrainSettings(passes=3, update_examples=64)).evaluations(10) == [
        1,
        2,
        3,
    ]
