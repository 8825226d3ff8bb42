"""Replies of a server that continues token ids: read strictly, as a figure rests on them."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from loopback import Server
from smallsteps.errors import EngineError
from smallsteps.generation.post import open_client
from smallsteps.generation.token_calls import TokenCalls, WrittenIds, read_continuation
from token_server import completion_of

SENT = {"prompt": [5, 6, 7], "max_tokens": 4, "stop_token_ids": [2]}


def test_a_reply_is_its_ids_with_the_end() -> None:
    assert read_continuation(completion_of([9, 2]), SENT) == WrittenIds((9, 2), cut=False)


def test_a_reply_that_ran_into_its_limit_says_so() -> None:
    assert read_continuation(completion_of([9] * 4, "length"), SENT).cut


def test_log_probabilities_are_read_where_they_were_asked_for() -> None:
    body = completion_of([9, 2], logprobs={"token_logprobs": [-0.5, -1]})
    assert read_continuation(body, {**SENT, "logprobs": 0}).logprobs == (-0.5, -1.0)
    assert read_continuation(body, SENT).logprobs == ()


@pytest.mark.parametrize(
    ("body", "sent", "message"),
    [
        (b"<html>", {}, "no completion of one prompt: <html>"),
        (b"{}", {}, "no completion of one prompt"),
        (b'{"choices": [{}, {}], "usage": {"prompt_tokens": 3}}', {}, "no completion of one"),
        (completion_of(None), {}, "holds no `token_ids`"),
        (completion_of([]), {}, "holds no `token_ids`"),
        (completion_of([True]), {}, "holds no `token_ids`"),
        (completion_of([9, 2], read=5), {}, "read 5 tokens of a prompt of 3"),
        (completion_of([9, 9], "length"), {}, "cut after 2 tokens, where 4 may .*--max-model-len"),
        (completion_of([9, 9]), {}, "ended by 'stop' after token 9, at which this student does"),
        (completion_of([9, 2], "abort"), {}, "ended by 'abort'"),
        (completion_of([9, 2]), {"logprobs": 0}, "0 log-probabilities for 2 tokens"),
        (
            completion_of([9, 2], logprobs={"token_logprobs": [-1.0]}),
            {"logprobs": 0},
            "1 log-probabilities for 2 tokens",
        ),
    ],
)
def test_what_is_no_continuation_is_refused(body: bytes, sent: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_continuation(body, {**SENT, **sent})


def ask(server: Server, seconds: float = 5.0, check: Any = lambda: None) -> str:
    async def call() -> str:
        async with open_client(server.url) as client:
            calls = TokenCalls(client, server.url, 5.0, check, lambda line: None)
            return await calls.model(seconds)

    return asyncio.run(call())


def test_the_name_of_the_model_comes_once_the_server_is_ready(server: Server) -> None:
    server.models, server.models_status = ["student", "other"], 503

    def get_ready() -> None:
        time.sleep(0.4)
        server.models_status = 200

    threading.Thread(target=get_ready).start()
    assert ask(server) == "student"


def test_a_server_that_is_never_ready_is_given_up(server: Server) -> None:
    server.models_status = 503
    with pytest.raises(EngineError, match=r"does not answer within 0\.5 seconds \(status 503\)"):
        ask(server, 0.5)


def test_a_server_without_a_model_is_refused(server: Server) -> None:
    server.models = []
    with pytest.raises(EngineError, match=r"/models names no model\. Correct the server's URL"):
        ask(server)


def test_waiting_ends_with_the_process(server: Server) -> None:
    server.models_status = 503

    def ended() -> None:
        raise EngineError("it ended")

    with pytest.raises(EngineError, match="it ended"):
        ask(server, 60, ended)


def test_an_error_that_does_not_pass_is_given_up_after_some_calls(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.generation.token_calls.ATTEMPTS", 2)
    server.answer = lambda body, times: (500, {"error": {"message": "engine dead"}}, {})

    async def call() -> None:
        async with open_client(server.url) as client:
            calls = TokenCalls(client, server.url, 5.0, lambda: None, lambda line: None)
            await calls.continuation(SENT)

    with pytest.raises(EngineError, match="status 500: engine dead, 2 calls"):
        asyncio.run(call())
    assert server.calls == 2
