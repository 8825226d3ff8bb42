"""Whatever a server sends is read, or named in one line; nothing else is raised."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopback import completion
from smallsteps.generation.bodies import Refusal, Unreadable, one_line, parsed, refusal_of
from smallsteps.generation.completion import read_answer
from smallsteps.generation.pauses import retry_after
from smallsteps.generation.post import as_utf8, unpacked

WORDS = (
    "choices",
    "message",
    "content",
    "text",
    "error",
    "code",
    "type",
    "refusal",
    "usage",
    "finish_reason",
    "detail",
    "reasoning",
    "reasoning_content",
    "thinking",
    "tool_calls",
    "loc",
    "msg",
    "errors",
    "param",
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(values)
def test_any_json_is_read_or_named(value: Any) -> None:
    check(json.dumps(value))
    check(json.dumps({"choices": [value]}))
    check(json.dumps({"choices": [{"message": value}]}))
    check(json.dumps({"choices": [{"message": {"content": value}}]}))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.text(max_size=20))
def test_any_bytes_are_read_or_named(body: bytes, content_type: str) -> None:
    check(as_utf8(unpacked(body), f"text/html; charset={content_type}").decode())


def check(raw: str) -> None:
    try:
        answer = read_answer(raw)
        answer.text.encode()
    except Unreadable as error:
        assert str(error).isprintable()
    refusal = refusal_of(raw)
    assert refusal.message.isprintable() and len(refusal.message) <= 300
    assert refusal.quota in (True, False)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20) | st.floats().map(str) | st.integers().map(str) | st.dates().map(str))
def test_any_retry_after_is_a_time_or_none(value: str) -> None:
    told = retry_after({"retry-after": value})
    assert told is None or told >= 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "a\nb", "code": 402}}, Refusal("a b", 402)),
        (
            {"error": {"message": "m", "type": "T", "code": "c", "param": "p"}},
            Refusal("m", None, ("c", "t"), "p"),
        ),
        ({"object": "error", "message": "m", "code": 404}, Refusal("m", 404)),
        ({"error": {"code": 429, "message": "q", "status": "X"}}, Refusal("q", 429, ("x",))),
        ({"detail": "Not Found"}, Refusal("Not Found")),
        ({"errors": [{"message": "m"}]}, Refusal("m")),
        ({"error": {"metadata": {"raw": "r"}}}, Refusal('{"metadata": {"raw": "r"}}')),
        ({"error": True}, Refusal("")),
        ([], Refusal("")),
    ],
)
def test_the_servers_words_are_found_in_every_form(body: Any, expected: Refusal) -> None:
    assert refusal_of(json.dumps(body)) == expected


@pytest.mark.parametrize(
    ("refusal", "quota"),
    [
        (Refusal("x", 402), True),
        (Refusal("x", None, ("insufficient_quota",)), True),
        (Refusal("Insufficient balance"), True),
        (Refusal("You are out of credits"), True),
        (
            Refusal(
                "You exceeded your current quota, check your plan", 429, ("resource_exhausted",)
            ),
            False,
        ),
        (Refusal("Rate limit reached for requests"), False),
    ],
)
def test_want_of_money_is_told_from_too_many_requests(refusal: Refusal, quota: bool) -> None:
    assert refusal.quota is quota


@pytest.mark.parametrize(
    "body", ["<" * 2_000_000, "<script>" * 300_000, "x " * 4_000_000, '{"a":' * 100_000]
)
def test_large_nonsense_is_named_at_once(body: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unreadable):
        parsed(body)
    refusal_of(body)
    assert time.monotonic() - began < 10


def test_words_for_a_message_carry_no_escape_sequences() -> None:
    assert one_line("\x1b[2Ja\u202eb\ud800\n c") == "[2Ja b c"


def test_a_good_completion_is_none_of_that() -> None:
    assert read_answer(json.dumps(completion("42"))).text == "42"
