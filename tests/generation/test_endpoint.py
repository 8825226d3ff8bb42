"""The endpoint against a server on loopback that fails in every way a server can."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from loopback import Server, completion
from smallsteps.errors import TeacherError
from smallsteps.generation.budget import Budget
from smallsteps.generation.completion import read_answer
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings, CallSettings

KEY = "sk-very-secret-key"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "replies.sqlite")
    yield made
    made.close()


def endpoint(
    server: Server,
    store: ReplyStore,
    limits: BudgetSettings | None = None,
    job: str = "job",
    **settings: Any,
) -> Endpoint:
    given = {"name": "m", "base_url": server.url, "concurrency": 8, "timeout": 5.0, **settings}
    return Endpoint(CallSettings(**given), Budget(store, job, limits), KEY)


def ask(
    which: Endpoint, *texts: str, samples: int = 1, **decoding: Any
) -> dict[tuple[str, int], Reply]:
    requests = [Request(text, text, samples) for text in texts]
    given = Decoding(**{"max_new_tokens": 20, **decoding})
    return {(reply.id, reply.sample): reply for reply in which.generate(requests, given)}


def test_every_request_is_answered_once_and_a_second_run_makes_no_call(
    server: Server, store: ReplyStore
) -> None:
    texts = [f"q{n}" for n in range(30)]
    first = ask(endpoint(server, store), *texts)
    assert {id: reply.text for (id, _), reply in first.items()} == {
        text: f"re: {text}" for text in texts
    }
    assert server.calls == 30 and len(store) == 30
    again = ask(endpoint(server, store), *texts, "new")
    assert server.calls == 31, "only what is new was bought"
    assert {k: again[k] for k in first} == first


def test_samples_are_bought_one_by_one_with_seeds_of_their_own(
    server: Server, store: ReplyStore
) -> None:
    ask(endpoint(server, store), "q", samples=3, temperature=1.0, seed=10)
    assert sorted(body["seed"] for body in server.bodies) == [10, 11, 12]
    assert all("n" not in body for body in server.bodies)


def test_the_same_words_under_two_ids_are_bought_once(server: Server, store: ReplyStore) -> None:
    requests = [Request("a", "same"), Request("b", "same")]
    replies = list(endpoint(server, store).generate(requests, Decoding()))
    assert {reply.id for reply in replies} == {"a", "b"} and server.calls == 1


@pytest.mark.parametrize("trouble", ["500", "cut", "malformed", "empty", "html"])
def test_a_passing_trouble_is_tried_again(server: Server, store: ReplyStore, trouble: str) -> None:
    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]] | None:
        if times > 1:
            return Server.echo(body, times)
        return {
            "500": (500, {"error": {"message": "oops"}}, {}),
            "cut": None,
            "malformed": (200, '{"choices": [{"mess', {}),
            "empty": (200, completion("  "), {}),
            "html": (200, "<html>try later</html>", {"content-type": "text/html"}),
        }[trouble]

    ask(endpoint(server, store), "first")  # the one that goes out alone
    server.answer = answer
    replies = ask(endpoint(server, store), "a", "b")
    assert [replies[name, 0].text for name in ("a", "b")] == ["re: a", "re: b"]
    assert server.asked["a"] == 2, "the trouble came, and was asked again once"


def test_a_slow_server_counts_in_full_and_is_tried_again(server: Server, store: ReplyStore) -> None:
    slow = endpoint(server, store, timeout=0.3)

    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        if times == 1:
            time.sleep(0.6)
        return Server.echo(body, times)

    server.answer = answer
    assert ask(slow, "a")["a", 0].text == "re: a"
    assert store.spent("job").calls == 2
    assert store.spent("job").output_tokens == 20 + 3, "what was cut off may have been billed"


def test_text_in_the_reasoning_field_is_the_reply(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (200, completion("", reasoning_content="so 3 + 4 = 7"), {})
    assert ask(endpoint(server, store), "a")["a", 0].text == "so 3 + 4 = 7"


def test_a_cut_reply_says_so() -> None:
    assert read_answer(json.dumps(completion("half a", finish="length"))).cut


def test_what_never_comes_is_given_back_with_its_reason_and_asked_again_by_a_new_run_only(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        Server.echo(body, times)
        if body["messages"][-1]["content"] != "bad"
        else (200, completion(""), {})
    )
    one_run = endpoint(server, store, attempts=2)
    for _ in range(2):
        replies = ask(one_run, "good", "bad", "fine")
        assert (
            replies["bad", 0].finished == "failed"
            and replies["bad", 0].error == "empty reply, 2 calls"
        )
        assert replies["fine", 0].text == "re: fine"
        assert server.asked["bad"] == 2 and len(store) == 2, "an empty reply is never stored as one"
    server.answer = Server.echo
    assert ask(endpoint(server, store, attempts=2), "bad")["bad", 0].text == "re: bad"
    assert server.asked["bad"] == 3


def test_a_request_that_the_server_refuses_fails_alone_and_is_asked_again_by_a_new_run_only(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        (400, {"error": {"message": f"too long, {KEY}"}}, {})
        if body["messages"][-1]["content"] == "long"
        else Server.echo(body, times)
    )
    one_run = endpoint(server, store)
    for _ in range(2):
        reply = ask(one_run, "a", "long", "b")["long", 0]
        assert (
            reply.error
            and reply.error.startswith("refused 400: ")
            and "too long, [key]" in reply.error
        )
        assert server.asked["long"] == 1
    server.answer = Server.echo
    assert ask(endpoint(server, store), "long")["long", 0].text == "re: long"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_refusal_stops_all_calls_for_as_long_as_it_says(
    server: Server, store: ReplyStore, form: str
) -> None:
    lock, until = threading.Lock(), [0.0]

    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        with lock:
            if not until[0]:
                until[0] = time.monotonic() + 1.0
            if time.monotonic() < until[0] - 0.1:
                after = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
                return 429, {"error": {"message": "slow down"}}, {"retry-after": after}
        return Server.echo(body, times)

    ask(endpoint(server, store, concurrency=4), "first")
    server.times.clear()
    until[0], server.answer = 0.0, answer
    replies = ask(endpoint(server, store, concurrency=4), *(f"q{n}" for n in range(12)))
    assert all(reply.finished == "end" for reply in replies.values()) and len(replies) == 12
    began = server.times[0]
    early = [t for t in server.times if t - began < 0.8]
    assert len(early) <= 1 + 4, "those under way when it was said, and nobody after"


def test_limits_hold_at_the_server_and_over_runs(server: Server, store: ReplyStore) -> None:
    texts = [f"q{n}" for n in range(20)]
    replies = ask(endpoint(server, store, BudgetSettings(calls=7)), *texts)
    assert server.calls == 7
    left = [reply for reply in replies.values() if reply.finished == "failed"]
    assert len(replies) == 20 and len(left) == 13 and "limit of 7 calls" in (left[0].error or "")
    ask(endpoint(server, store, BudgetSettings(calls=7)), *texts)
    assert server.calls == 7, "the same job has nothing left"
    ask(endpoint(server, store, BudgetSettings(calls=2), job="another"), *texts)
    assert server.calls == 9


def test_a_limit_on_tokens_is_never_exceeded(server: Server, store: ReplyStore) -> None:
    ask(endpoint(server, store, BudgetSettings(tokens=200)), *(f"q{n}" for n in range(50)))
    assert 0 < store.spent("job").tokens <= 200
    assert server.calls == store.spent("job").calls < 50


def test_retries_count_as_calls(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (500, {"error": {"message": "oops"}}, {})
    ask(endpoint(server, store, BudgetSettings(calls=3), attempts=9, concurrency=1), "a")
    assert server.calls == 3


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "Set OPENAI_API_KEY"),
        (404, "knows no model 'm'"),
        (400, "refuses every request for model 'm'"),
        (403, "refuses the key"),
    ],
)
def test_a_wrong_key_or_model_ends_the_job_at_once(
    server: Server, store: ReplyStore, status: int, message: str
) -> None:
    server.answer = lambda body, times: (
        status,
        {"error": {"message": f"no such model: {KEY}"}},
        {},
    )
    with pytest.raises(TeacherError, match=message) as error:
        ask(endpoint(server, store), *(f"q{n}" for n in range(20)))
    assert server.calls == (3 if status == 400 else 1) and KEY not in str(error.value)


def test_nobody_there_is_one_line(server: Server, store: ReplyStore) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(TeacherError, match="cannot connect to"):
        ask(endpoint(server, store), "a", "b")


def test_a_server_that_refuses_for_ever_ends_the_job(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (429, {"error": {"message": "no"}}, {"retry-after": "0.05"})
    with pytest.raises(TeacherError, match="refused every call"):
        ask(endpoint(server, store, patience=0.3), "a", "b")


def test_leaving_early_keeps_what_came(server: Server, store: ReplyStore) -> None:
    server.delay = 0.05
    replies = endpoint(server, store, concurrency=2).generate(
        [Request(f"q{n}", f"q{n}") for n in range(40)], Decoding()
    )
    next(replies), next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert 2 <= len(store) < 40


def test_two_runs_at_once_buy_nothing_twice(server: Server, tmp_path: Path) -> None:
    server.delay = 0.1
    texts = [f"q{n}" for n in range(16)]
    found: list[dict[tuple[str, int], Reply]] = []

    def run() -> None:
        store = ReplyStore(tmp_path / "shared.sqlite")
        found.append(ask(endpoint(server, store, concurrency=4), *texts))
        store.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] and len(found[0]) == 16
    assert server.calls == 16


def test_the_key_is_in_no_file(server: Server, store: ReplyStore, tmp_path: Path) -> None:
    server.answer = lambda body, times: (400, {"error": {"message": f"bad key {KEY}"}}, {})
    ask(endpoint(server, store), "a")
    store.close()
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.iterdir())
