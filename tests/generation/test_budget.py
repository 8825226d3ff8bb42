from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import completion
from smallsteps.errors import RecipeError
from smallsteps.generation.budget import Budget, Call, Exhausted
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.claim_table import LEASE_SECONDS, new_owner
from smallsteps.generation.costs import MESSAGE_TOKENS
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "r.sqlite")
    yield made
    made.close()


def chat_request(text: str = "why", most: int = 10) -> ChatRequest:
    return ChatRequest("u", "m", (("user", text),), (("max_tokens", most),))


def body(text: str = "so", **usage: Any) -> bytes:
    """A completion whose usage is `usage` alone; without it, no usage at all."""
    whole = completion(text)
    del whole["usage"]
    return json.dumps(whole | ({"usage": usage} if usage else {})).encode()


def reserve(budget: Budget, chat_request: ChatRequest, owner: str = "") -> Call:
    call = budget.reserve(chat_request, owner)
    assert call is not None
    return call


def test_a_call_reserves_every_byte_and_the_whole_reply(store: ReplyStore) -> None:
    budget = Budget(store, "job", BudgetSettings(price_in=2.0, price_out=10.0))
    call = reserve(budget, chat_request("é?"))
    assert (budget.spent.input_tokens, budget.spent.output_tokens) == (3 + MESSAGE_TOKENS, 10)
    assert budget.received(call, body(prompt_tokens=4, completion_tokens=2)) == ""
    assert (budget.spent.input_tokens, budget.spent.output_tokens) == (4, 2)
    assert budget.money(budget.spent) == pytest.approx((4 * 2 + 2 * 10) / 1e6)
    assert store.spent("job") == budget.spent


def test_a_failure_that_nobody_bills_frees_the_tokens_and_not_the_call(store: ReplyStore) -> None:
    budget = Budget(store, "job")
    budget.failed(reserve(budget, chat_request()), "status 500")
    assert (budget.spent.calls, budget.spent.tokens) == (1, 0)
    budget.failed(reserve(budget, chat_request()), "timeout", tokens=None)
    assert (budget.spent.calls, budget.spent.tokens) == (2, 3 + MESSAGE_TOKENS + 10)
    assert store.spent("job") == budget.spent


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        (BudgetSettings(calls=3), 3),
        (BudgetSettings(tokens=2 * (3 + MESSAGE_TOKENS + 10)), 2),
        (BudgetSettings(tokens=2 * (3 + MESSAGE_TOKENS + 10) - 1), 1),
        (BudgetSettings(money=4 * (3 + MESSAGE_TOKENS + 10) / 1e6, price_in=1.0, price_out=1.0), 4),
        (BudgetSettings(calls=0), 0),
    ],
)
def test_nothing_is_sent_that_could_break_a_limit(
    store: ReplyStore, limits: BudgetSettings, fits: int
) -> None:
    budget = Budget(store, "job", limits.changed(price_in=1.0, price_out=1.0))
    for n in range(fits):
        budget.reserve(chat_request(f"q{n:02}"))
    with pytest.raises(Exhausted, match="limit of"):
        budget.reserve(chat_request("one"))
    assert store.spent("job").calls == fits


def test_a_limit_counts_what_earlier_runs_of_the_job_spent(store: ReplyStore) -> None:
    Budget(store, "job", BudgetSettings(calls=1)).reserve(chat_request())
    with pytest.raises(Exhausted):
        Budget(store, "job", BudgetSettings(calls=1)).reserve(chat_request())
    Budget(store, "another", BudgetSettings(calls=1)).reserve(chat_request())


def test_a_limit_on_money_needs_prices() -> None:
    with pytest.raises(RecipeError, match="needs prices"):
        BudgetSettings(money=1.0)


def test_the_forecast_leaves_out_what_is_stored_and_counts_the_same_words_once(
    store: ReplyStore,
) -> None:
    budget = Budget(store, "job", BudgetSettings(price_in=1.0, price_out=1.0))
    budget.received(reserve(budget, chat_request("a")), body(prompt_tokens=1, completion_tokens=1))
    wanted = [chat_request("a"), chat_request("b" * 4000), chat_request("b" * 4000)]
    line = budget.forecast(len(wanted), budget.missing(wanted))
    assert (
        "3 requests" in line
        and "1 calls (the others are stored, or the same), about 1,000 tokens to read and at most 10 to write"
        in line
    )


FULL = 3 + MESSAGE_TOKENS
"""What the prompt of `ask()` costs at most."""


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"prompt_tokens": 4, "completion_tokens": 2}, (4, 2)),
        ({"input_tokens": 4, "output_tokens": 2}, (4, 2)),
        ({"prompt_tokens": None, "input_tokens": 4, "completion_tokens": 2}, (4, 2)),
        ({"prompt_tokens": 4}, (4, 10)),
        ({}, (FULL, 10)),
        (None, (FULL, 10)),
        ([1, 2], (FULL, 10)),
        ({"prompt_tokens": -4, "completion_tokens": -2}, (FULL, 10)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (FULL, 10)),
        ({"prompt_tokens": 4.0, "completion_tokens": "2"}, (FULL, 10)),
        ({"prompt_tokens": True, "completion_tokens": float("inf")}, (FULL, 10)),
        ({"prompt_tokens": 10**30, "completion_tokens": 2**63}, (FULL, 10)),
        ({"prompt_tokens": float("nan"), "completion_tokens": 10**7 + 1}, (FULL, 10)),
    ],
)
def test_counts_that_cannot_be_cost_the_most_that_the_call_may_have_cost(
    store: ReplyStore, usage: Any, cost: tuple[int, int]
) -> None:
    budget = Budget(store, "job")
    raw = json.dumps(completion("so") | {"usage": usage}).encode()
    assert budget.received(reserve(budget, chat_request()), raw) == ""
    assert (budget.spent.input_tokens, budget.spent.output_tokens) == cost
    assert store.get(chat_request().key) == raw.decode()


def test_a_body_shorter_than_the_reservation_costs_a_token_a_byte(store: ReplyStore) -> None:
    budget = Budget(store, "job")
    raw = body("so")
    budget.received(reserve(budget, chat_request(most=10_000)), raw)
    assert budget.spent.output_tokens == len(raw)


def test_what_is_no_answer_lies_among_the_failures_and_is_paid(store: ReplyStore) -> None:
    budget = Budget(store, "job")
    deep = b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for number, raw in enumerate(
        (deep, b"<html>", b"\xff\xfe", b"null", b'{"choices": []}', b"", b"9" * 5000)
    ):
        assert budget.received(reserve(budget, chat_request(f"q{number}")), raw).startswith(
            ("unreadable reply", "no completion")
        )
        assert store.get(chat_request(f"q{number}").key) is None
        kept = store.file.write(
            "SELECT raw FROM failures WHERE key = ?", (chat_request(f"q{number}").key,)
        ).fetchone()[0]
        assert (kept if isinstance(kept, bytes) else kept.encode()) == raw
    assert budget.spent.calls == 7 and budget.spent.input_tokens == 7 * (2 + MESSAGE_TOKENS)


def test_two_budgets_of_one_job_share_its_limits(tmp_path: Path) -> None:
    stores = [ReplyStore(tmp_path / "r.sqlite") for _ in range(2)]
    budgets = [Budget(store, "job", BudgetSettings(calls=3)) for store in stores]
    for n in range(3):
        reserve(budgets[n % 2], chat_request(f"q{n}"))
    for budget in budgets:
        with pytest.raises(Exhausted, match="limit of 3 calls: 3 spent"):
            budget.reserve(chat_request("one more"))


def test_a_call_waits_for_those_under_way_and_not_for_those_that_a_kill_left_open(
    store: ReplyStore,
) -> None:
    budget = Budget(store, "job", BudgetSettings(tokens=FULL + 10 + 5))
    owner = new_owner()
    first = chat_request("one")
    store.claims.claim(first.key, owner, LEASE_SECONDS)
    call = reserve(budget, first, owner)
    assert budget.reserve(chat_request("two"), owner) is None, (
        "the first may cost less than is reserved for it"
    )
    assert budget.spent.calls == 1
    store.claims.release(first.key, owner)
    with pytest.raises(Exhausted):
        budget.reserve(chat_request("two"), owner)
    store.claims.claim(first.key, owner, LEASE_SECONDS)
    budget.received(call, body(prompt_tokens=3, completion_tokens=2))
    assert reserve(budget, chat_request("two"), owner)


def test_a_limit_on_calls_does_not_wait(store: ReplyStore) -> None:
    budget, owner = Budget(store, "job", BudgetSettings(calls=1)), new_owner()
    store.claims.claim(chat_request("one").key, owner, LEASE_SECONDS)
    reserve(budget, chat_request("one"), owner)
    with pytest.raises(Exhausted, match="limit of 1 calls"):
        budget.reserve(chat_request("two"), owner)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), -float("inf"), "3x", True])
@pytest.mark.parametrize("name", ["calls", "tokens", "money", "price_in", "price_out"])
def test_a_limit_and_a_price_are_finite_numbers_from_0_on(name: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"^BudgetSettings: {name}: expected a (whole )?number"):
        BudgetSettings(**{name: value})  # type: ignore[arg-type]
