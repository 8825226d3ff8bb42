from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.budget import MESSAGE_TOKENS, Budget, Exhausted, Limits, Prices
from smallsteps.generation.replies import Ask, ReplyStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "r.sqlite")
    yield made
    made.close()


def ask(text: str = "why", most: int = 10) -> Ask:
    return Ask("u", "m", (("user", text),), (("max_tokens", most),))


def test_a_call_reserves_every_byte_and_the_whole_reply(store: ReplyStore) -> None:
    budget = Budget(store, "job", prices=Prices(input=2.0, output=10.0))
    call = budget.reserve(ask("é?"))
    assert (budget.spent.input_tokens, budget.spent.output_tokens) == (3 + MESSAGE_TOKENS, 10)
    budget.answered(call, "raw", 4, 2)
    assert (budget.spent.input_tokens, budget.spent.output_tokens) == (4, 2)
    assert budget.prices.of(budget.spent) == pytest.approx((4 * 2 + 2 * 10) / 1e6)
    assert store.spent("job") == budget.spent


def test_a_failure_that_nobody_bills_frees_the_tokens_and_not_the_call(store: ReplyStore) -> None:
    budget = Budget(store, "job")
    budget.failed(budget.reserve(ask()), "status 500")
    assert (budget.spent.calls, budget.spent.tokens) == (1, 0)
    budget.failed(budget.reserve(ask()), "timeout", tokens=None)
    assert (budget.spent.calls, budget.spent.tokens) == (2, 3 + MESSAGE_TOKENS + 10)
    assert store.spent("job") == budget.spent


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        (Limits(calls=3), 3),
        (Limits(tokens=2 * (3 + MESSAGE_TOKENS + 10)), 2),
        (Limits(tokens=2 * (3 + MESSAGE_TOKENS + 10) - 1), 1),
        (Limits(money=4 * (3 + MESSAGE_TOKENS + 10) / 1e6), 4),
        (Limits(calls=0), 0),
    ],
)
def test_nothing_is_sent_that_could_break_a_limit(store: ReplyStore, limits: Limits, fits: int) -> None:
    budget = Budget(store, "job", limits, Prices(1.0, 1.0))
    for n in range(fits):
        budget.reserve(ask(f"q{n:02}"))
    with pytest.raises(Exhausted, match="limit of"):
        budget.reserve(ask("one"))
    assert store.spent("job").calls == fits


def test_a_limit_counts_what_earlier_runs_of_the_job_spent(store: ReplyStore) -> None:
    Budget(store, "job", Limits(calls=1)).reserve(ask())
    with pytest.raises(Exhausted):
        Budget(store, "job", Limits(calls=1)).reserve(ask())
    Budget(store, "another", Limits(calls=1)).reserve(ask())


def test_a_limit_on_money_needs_prices(store: ReplyStore) -> None:
    with pytest.raises(RecipeError, match="needs prices"):
        Budget(store, "job", Limits(money=1.0))


def test_the_forecast_leaves_out_what_is_stored_and_counts_the_same_words_once(store: ReplyStore) -> None:
    budget = Budget(store, "job", prices=Prices(1.0, 1.0))
    budget.answered(budget.reserve(ask("a")), "raw", 1, 1)
    wanted = [ask("a"), ask("b" * 4000), ask("b" * 4000)]
    line = budget.forecast(len(wanted), budget.missing(wanted))
    assert (
        "3 requests" in line
        and "1 calls (the others are stored, or the same), about 1,000 tokens to read and at most 10 to write" in line
    )
