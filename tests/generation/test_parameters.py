"""What a server takes: learnt from its refusals, and what the user adds."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.bodies import Refusal
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.parameters import (
    Dialect,
    check_extra_body,
    read_extra_body,
    with_extra_body,
)

REQUEST = ChatRequest(
    "u", "m", (("user", "why"),), (("max_tokens", 50), ("seed", 1), ("temperature", 0.7))
)


def test_a_request_is_sent_as_it_is_until_the_server_refuses() -> None:
    assert Dialect().body(REQUEST) == REQUEST.body()


def test_the_other_name_of_the_limit_is_learnt() -> None:
    dialect = Dialect()
    refusal = Refusal("Unsupported parameter: use max_completion_tokens instead of max_tokens")
    assert "`max_completion_tokens` is sent instead" in str(dialect.learn(refusal, REQUEST.body()))
    body = dialect.body(REQUEST)
    assert body["max_completion_tokens"] == 50 and "max_tokens" not in body


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("temperature does not support 0.7, only the default (1)"),
        Refusal("Unsupported value", parameter="temperature"),
    ],
)
def test_a_parameter_that_is_refused_is_left_out_and_the_others_are_not(refusal: Refusal) -> None:
    dialect = Dialect()
    learnt = dialect.learn(refusal, REQUEST.body())
    assert learnt == "refuses `temperature`: it is no longer sent"
    assert {"seed", "max_tokens"} <= set(dialect.body(REQUEST)) and "temperature" not in (
        dialect.body(REQUEST)
    )


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("the prompt is too long for temperature 0.7"),
        Refusal("unsupported: messages"),
        Refusal("unknown parameter: top_k"),
    ],
)
def test_other_refusals_teach_nothing(refusal: Refusal) -> None:
    dialect = Dialect()
    assert dialect.learn(refusal, REQUEST.body()) is None
    assert dialect.body(REQUEST) == REQUEST.body()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "expected a JSON object"),
        ({1: 2}, "1 is no name of a parameter"),
        ({"model": "x"}, "`model` cannot be set there; --teacher or --reader names it"),
        ({"stream": True}, "`stream` cannot be set there; replies are read whole"),
        ({"a": float("nan")}, "not JSON"),
        ({"a": {1, 2}}, "not JSON"),
        ({"max_tokens": 0}, "`max_tokens` is 0, expected a whole number of at least 1"),
        ({"max_completion_tokens": True}, "`max_completion_tokens` is True"),
    ],
)
def test_an_extra_body_that_cannot_be_sent_is_refused(extra: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_extra_body(extra)


def test_null_takes_a_parameter_out_and_a_limit_of_the_other_name_replaces_ours() -> None:
    parameters = {"max_tokens": 20, "temperature": 0.0}
    assert with_extra_body(parameters, {"temperature": None}) == (("max_tokens", 20),)
    assert with_extra_body(parameters, {"max_completion_tokens": 9}) == (
        ("max_completion_tokens", 9),
        ("temperature", 0.0),
    )


@pytest.mark.parametrize("text", ["{", "7", "[1]", '"text"'])
def test_what_is_typed_must_be_a_json_object(text: str) -> None:
    with pytest.raises(RecipeError, match=r"--extra-body.*expected a JSON object"):
        read_extra_body(text)
