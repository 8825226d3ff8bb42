"""What a call costs: as the server counted, where that can be; otherwise at most."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.costs import (
    MESSAGE_TOKENS,
    UNLIMITED_TOKENS,
    Cost,
    cost_of,
    counts,
    highest_cost,
)

REQUEST = ChatRequest("u", "m", (("user", "why"),), (("max_tokens", 50),))


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"usage": []}, {"usage": {"prompt_tokens": []}}, {"usage": None}]
)
def test_usage_that_is_none_counts_nothing(body: Any) -> None:
    assert counts(body) == (None, None)


@pytest.mark.parametrize(
    ("parameters", "written"),
    [
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60}, 60),
        ({"max_tokens": 50, "max_completion_tokens": 60}, 60),
        ({}, UNLIMITED_TOKENS),
        ({"max_tokens": -50}, UNLIMITED_TOKENS),
        ({"max_tokens": "50"}, UNLIMITED_TOKENS),
        ({"max_tokens": None}, UNLIMITED_TOKENS),
    ],
)
def test_a_call_without_a_sensible_limit_of_its_own_reserves_a_long_reply(
    parameters: dict[str, Any], written: int
) -> None:
    assert (
        highest_cost(ChatRequest("u", "m", (), tuple(sorted(parameters.items())))).output_tokens
        == written
    )


def test_each_byte_of_the_prompt_counts_as_a_token_and_each_message_as_64_more() -> None:
    request = ChatRequest("u", "m", (("system", "é"), ("user", "why")), (("max_tokens", 50),))
    assert highest_cost(request) == Cost(1, 2 + 3 + 2 * MESSAGE_TOKENS, 50)


@pytest.mark.parametrize(
    ("counted", "cost"),
    [
        ((7, 3), Cost(1, 7, 3)),
        ((None, 3), Cost(1, 3 + MESSAGE_TOKENS, 3)),
        ((7, None), Cost(1, 7, 10)),
    ],
)
def test_a_missing_count_is_taken_at_most(counted: Any, cost: Cost) -> None:
    assert cost_of(REQUEST, "x" * 10, counted) == cost


def test_a_body_longer_than_the_limit_costs_the_limit() -> None:
    assert cost_of(REQUEST, b"x" * 1000, (7, None)) == Cost(1, 7, 50)


def test_costs_add_and_subtract() -> None:
    assert Cost(1, 10, 2) + Cost(1, 5, 1) == Cost(2, 15, 3)
    assert Cost(2, 15, 3) - Cost(1, 5, 1) == Cost(1, 10, 2)
    assert Cost(1, 10, 2).tokens == 12
