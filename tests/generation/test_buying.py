"""Jobs against a server on loopback: scouts, outcomes, retries and ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Server
from smallsteps.errors import TeacherError
from smallsteps.generation.budget import Budget
from smallsteps.generation.buying import SCOUTS, Buyer
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings, CallSettings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "replies.sqlite")
    yield made
    made.close()


def bought(
    server: Server,
    store: ReplyStore,
    count: int,
    limits: BudgetSettings | None = None,
    model: ModelServer | None = None,
    **settings: Any,
) -> list[Any]:
    """All that a job reports."""
    model = model or ModelServer(
        CallSettings(name="m", base_url=server.url, **settings), "sk-12345678", lambda line: None
    )
    reported: list[Any] = []
    budget = Budget(store, "job", limits or BudgetSettings())
    requests = [ChatRequest(server.url, "m", (("user", f"q{n}"),)) for n in range(count)]
    Buyer(model, budget, reported.append).run(requests)
    return reported


def test_each_request_has_one_outcome_and_the_last_report_is_none(
    server: Server, store: ReplyStore
) -> None:
    *outcomes, last = bought(server, store, 9)
    assert last is None
    assert sorted(request.messages[0][1] for request, _ in outcomes) == [f"q{n}" for n in range(9)]
    assert [reason for _, reason in outcomes] == [None] * 9 and len(store) == 9


def test_stored_replies_are_outcomes_without_a_call(server: Server, store: ReplyStore) -> None:
    bought(server, store, 20, concurrency=8)
    assert server.calls == 20
    again = bought(server, store, 20)
    assert [reason for _, reason in again[:-1]] == [None] * 20
    assert server.calls == 20


def test_a_job_that_is_wrong_as_a_whole_costs_a_few_calls(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (400, "oops", {})
    reported = bought(server, store, 30)
    assert isinstance(reported[-2], TeacherError) and reported[-1] is None
    assert "refuses every request for model 'm', first of all: refused 400: oops" in str(
        reported[-2]
    )
    assert server.calls == SCOUTS and len(reported) == SCOUTS + 2


def test_a_proven_server_may_refuse_the_first_requests(server: Server, store: ReplyStore) -> None:
    model = ModelServer(
        CallSettings(name="m", base_url=server.url), "sk-12345678", lambda line: None
    )
    model.proven = True
    server.answer = lambda body, times: (400, "oops", {})
    *outcomes, last = bought(server, store, 6, model=model)
    assert last is None and [reason for _, reason in outcomes] == ["refused 400: oops"] * 6


def test_a_request_that_was_given_up_is_not_asked_again_by_the_same_process(
    server: Server, store: ReplyStore
) -> None:
    model = ModelServer(
        CallSettings(name="m", base_url=server.url), "sk-12345678", lambda line: None
    )
    model.proven = True
    server.answer = lambda body, times: (400, "oops", {})
    bought(server, store, 2, model=model)
    again = bought(server, store, 2, model=model)
    assert server.calls == 2 and [reason for _, reason in again[:-1]] == ["refused 400: oops"] * 2


def test_what_a_limit_leaves_unasked_comes_back_with_its_reason(
    server: Server, store: ReplyStore
) -> None:
    *outcomes, last = bought(server, store, 9, BudgetSettings(calls=4))
    reasons = [reason for _, reason in outcomes]
    assert last is None and reasons.count(None) == 4 and server.calls == 4
    assert all(
        str(reason).startswith("not asked: limit of 4 calls") for reason in reasons if reason
    )


def test_a_passing_error_is_asked_again_and_counted(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (500, "oops", {})
    (_, reason), last = bought(server, store, 1, attempts=3)
    assert reason == "status 500: oops, 3 calls" and server.calls == 3 and last is None
