"""The limits of a job against a server on loopback: without usage, with absurd usage, with several
processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Server, completion
from smallsteps.generation.budget import Budget
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings, CallSettings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "replies.sqlite")
    yield made
    made.close()


def buy(
    server: Server,
    store: ReplyStore,
    count: int,
    limits: BudgetSettings,
    *,
    length: int = 20,
    concurrency: int = 32,
    **more: Any,
) -> list[Reply]:
    settings = CallSettings(name="m", base_url=server.url, concurrency=concurrency, timeout=10.0)
    budget = Budget(store, "job", limits.changed(price_in=1.0, price_out=1.0))
    requests = [Request(f"q{n}", f"q{n}") for n in range(count)]
    return list(
        Endpoint(settings, budget, "key", **more).generate(
            requests, Decoding(max_new_tokens=length)
        )
    )


USAGES: list[Any] = [
    "missing",
    None,
    {},
    {"prompt_tokens": -4000, "completion_tokens": -4000},
    {"prompt_tokens": 0, "completion_tokens": 0},
    {"prompt_tokens": 0.5, "completion_tokens": "3"},
    {"prompt_tokens": 10**30, "completion_tokens": 2**63},
]


@pytest.mark.parametrize("usage", USAGES)
def test_a_limit_on_tokens_holds_whatever_the_server_counts(
    server: Server, store: ReplyStore, usage: Any
) -> None:
    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        whole = completion("So it is, and the answer is 7.")
        whole["usage"] = usage
        if usage == "missing":
            del whole["usage"]
        return 200, whole, {}

    server.answer = answer
    replies = buy(server, store, 40, BudgetSettings(tokens=2000), length=300)
    spent = store.spent("job")
    assert 1000 < spent.tokens <= 2000, "each call costs what it may have cost at most"
    assert 4 <= server.calls < 10 and server.calls == spent.calls
    assert sum(reply.finished == "end" for reply in replies) == server.calls == len(store)
    assert all(
        "limit of 2,000 tokens" in (reply.error or "")
        for reply in replies
        if reply.finished == "failed"
    )


def test_other_names_of_counts_are_counts(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (
        200,
        completion("7") | {"usage": {"input_tokens": 40, "output_tokens": 10}},
        {},
    )
    buy(server, store, 40, BudgetSettings(tokens=2000))
    assert server.calls == 39, "39 calls of 50 leave no room for one that may take 86"


@pytest.mark.parametrize(
    "limits",
    [BudgetSettings(tokens=2000), BudgetSettings(money=2000 / 1e6, price_in=1.0, price_out=1.0)],
)
def test_a_job_waits_for_calls_under_way_before_it_calls_a_limit_reached(
    server: Server, store: ReplyStore, limits: BudgetSettings
) -> None:
    server.delay = (
        0.01  # each call reserves 566 tokens and takes 10, so three are under way at once
    )
    replies = buy(server, store, 60, limits, length=500)
    assert {reply.finished for reply in replies} == {"end"}
    assert store.spent("job").tokens == 600


def test_two_processes_of_one_job_share_its_limits(server: Server, tmp_path: Path) -> None:
    server.delay = 0.01
    code = (
        "import sys; from smallsteps.generation.budget import Budget\n"
        "from smallsteps.generation.endpoint import Endpoint\n"
        "from smallsteps.generation.settings import BudgetSettings, CallSettings\n"
        "from smallsteps.generation.generator import Decoding, Request\n"
        "from smallsteps.generation.replies import ReplyStore\n"
        "budget = Budget(ReplyStore(sys.argv[1]), 'job', BudgetSettings(calls=30))\n"
        "asked = [Request(f'{sys.argv[3]}-{n}', f'{sys.argv[3]}-{n}') for n in range(40)]\n"
        "endpoint = Endpoint(CallSettings(name='m', base_url=sys.argv[2]), budget, 'key')\n"
        "list(endpoint.generate(asked, Decoding(max_new_tokens=20)))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "r.sqlite"), server.url]
    processes = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert server.calls == 30


def test_a_bare_body_is_stored_before_it_is_read(server: Server, store: ReplyStore) -> None:
    raw = json.dumps(completion("7"))
    server.answer = lambda body, times: (200, raw, {})
    buy(server, store, 1, BudgetSettings())
    assert store.file.write("SELECT raw FROM replies").fetchone()[0] == raw
