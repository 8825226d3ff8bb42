"""One call against a server on loopback: what is stored, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Server, completion
from smallsteps.errors import TeacherError
from smallsteps.generation.budget import Budget
from smallsteps.generation.calling import Caller, is_json, phrase
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.costs import Cost
from smallsteps.generation.diagnosis import AGAIN, Diagnosis
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.pauses import Pauses
from smallsteps.generation.post import open_client
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings, CallSettings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "replies.sqlite")
    yield made
    made.close()


def request_to(url: str) -> ChatRequest:
    return ChatRequest(url, "m", (("user", "why"),), (("max_tokens", 50),))


def called(url: str, store: ReplyStore, key: str = "sk-12345678", times: int = 1) -> list[str]:
    """What each of several calls of one job brought."""
    server = ModelServer(CallSettings(name="m", base_url=url, timeout=5.0), key, lambda line: None)
    budget = Budget(store, "job", BudgetSettings())
    caller = Caller(server, budget, Diagnosis(server, Pauses(url, 900.0, server.say)))

    async def calls() -> list[str]:
        reasons = []
        async with open_client(url) as client:
            for _ in range(times):
                call = budget.reserve(request_to(url))
                assert call is not None
                reasons.append(await caller.call(client, call))
        assert not caller.sending
        return reasons

    return asyncio.run(calls())


def test_an_answer_is_stored_and_its_cost_is_what_the_server_counted(
    server: Server, store: ReplyStore
) -> None:
    assert called(server.url, store) == [""]
    assert store.get(request_to(server.url).key) is not None
    assert store.spent("job").calls == 1 and store.spent("job").output_tokens < 50


def test_an_error_is_kept_for_people_to_read_and_costs_no_tokens(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (500, "", {})
    assert called(server.url, store) == ["status 500: Internal Server Error"]
    assert store.failures(request_to(server.url).key) == ["status 500: Internal Server Error"]
    assert store.spent("job") == Cost(1, 0, 0)


def test_a_busy_server_is_asked_again(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (429, "{}", {})
    assert called(server.url, store) == [AGAIN]


def test_the_key_is_cut_out_of_what_is_stored(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (200, completion("the key is sk-12345678"), {})
    assert called(server.url, store) == [""]
    raw = store.get(request_to(server.url).key)
    assert raw is not None and "[key]" in raw and "sk-12345678" not in raw


def test_a_server_that_is_not_there_ends_the_job_and_costs_nothing(store: ReplyStore) -> None:
    with pytest.raises(
        TeacherError, match=r"cannot connect to http://127\.0\.0\.1:9/v1: .*Start the server"
    ):
        called("http://127.0.0.1:9/v1", store)
    assert store.spent("job") == Cost(1, 0, 0)


def test_a_status_has_a_name() -> None:
    assert (phrase(503), phrase(299)) == ("Service Unavailable", "no message")


def test_a_body_that_was_cut_short_may_be_whole() -> None:
    assert is_json(b'{"a": 1}') and not is_json(b'{"a": ')
