"""Bodies of requests: what is read, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.api_requests import MAX_CHOICES, ChatBody, TextBody, read_body

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "How many?"}]}


def chat(**changes: Any) -> ChatBody:
    body = read_body(json.dumps({**CHAT, **changes}).encode(), ChatBody)
    body.check()
    body.decoding()
    return body


def test_without_parameters_a_reply_is_greedy_and_ends_where_the_task_says() -> None:
    decoding = chat().decoding()
    assert (decoding.temperature, decoding.max_new_tokens) == (0.0, 100_000)
    assert (chat().choices, chat().stops, chat().token_limit) == (1, (), None)


def test_null_is_as_good_as_nothing() -> None:
    body = chat(n=None, stop=None, temperature=None, tools=None, logit_bias=None, user=None)
    assert body.choices == 1


def test_without_a_seed_two_requests_draw_differently_and_with_one_alike() -> None:
    assert chat(temperature=1).decoding().seed != chat(temperature=1).decoding().seed
    assert chat(temperature=1, seed=7).decoding() == chat(temperature=1, seed=7).decoding()


def test_parts_of_text_are_one_message_and_developers_are_the_system() -> None:
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "many?"}]
    body = chat(messages=[{"role": "developer", "content": parts}])
    assert body.messages[0].pair() == ("system", "How many?")


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        ({"temperature": -1}, "temperature", "temperature -1: expected 0"),
        ({"temperature": float("nan")}, "temperature", "finite number"),
        ({"temperature": "hot"}, "temperature", "valid number, got 'hot'"),
        ({"n": 0}, "n", "greater than or equal to 1, got 0"),
        ({"n": MAX_CHOICES + 1}, "n", "less than or equal to 64"),
        ({"n": 2.5}, "n", "valid integer"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"stop": [""]}, "stop", "not empty"),
        ({"stop": ["x"] * 17}, "stop", "1 to 16 texts"),
        ({"model": None}, "model", "valid string"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": "How many?"}, "messages", "valid list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages", "'system'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages", "text"),
        ({"tools": [{"type": "function"}]}, "tools", "`tools` is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "not supported"),
        ({"presence_penalty": 0.5}, "presence_penalty", "not supported"),
        ({"top_logprobs": 3}, "top_logprobs", "not supported"),
        (
            {"temprature": 1},
            "temprature",
            "`temprature` is not known by this server. Did you mean `temperature`?",
        ),
        ({"zzz": 1}, "zzz", "`zzz` is not known by this server. Leave it out."),
        (
            {"messages": [{"role": "user", "contents": "x"}]},
            "messages",
            "`messages.0.content`: Field required. Is it `contents`?",
        ),
        ({"stream": True, "logprobs": True}, "logprobs", "are not streamed"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(
    changes: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(ApiError) as refused:
        chat(**changes)
    assert refused.value.status == 400 and refused.value.param == param
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "no JSON object"),
        (b'{"model": "\\ud800"}', "half a character"),
        (b"{}", "`model`: Field required"),
        (b'{"model": "m", "mesages": []}', "`messages`: Field required. Is it `mesages`?"),
    ],
)
def test_a_body_that_is_no_object_of_the_right_shape_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        read_body(raw, ChatBody)


def test_what_changes_no_reply_is_accepted_whatever_it_says() -> None:
    chat(user="u", metadata={"a": "b"}, store=False, tool_choice="auto", response_format=None)


def text(**changes: Any) -> TextBody:
    body = read_body(json.dumps({"model": "m", "prompt": "a", **changes}).encode(), TextBody)
    body.check()
    return body


def test_one_prompt_or_several_may_be_continued() -> None:
    assert text().prompts == ["a"] and text(prompt=["a", "b"]).prompts == ["a", "b"]
    assert text(logprobs=0).wants_logprobs and not text().wants_logprobs


def test_prompts_of_tokens_and_alternatives_to_a_token_are_refused() -> None:
    with pytest.raises(ApiError, match="prompt"):
        text(prompt=[1, 2, 3])
    with pytest.raises(ApiError, match="logprobs"):
        text(logprobs=5)
    with pytest.raises(ApiError, match="1 to 64 replies in all, got 33 prompts with n = 2"):
        _ = text(prompt=["a"] * 33, n=2).prompts
