"""Servers that say no, say something else, or take parameters their own way: one line, a bounded
end, nothing paid lost."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Answer, Server, completion
from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation import pauses
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
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


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SHORTEST", 0.05)


class Asking:
    """An endpoint at the loopback server, and what it told the user."""

    def __init__(
        self,
        server: Server,
        store: ReplyStore,
        limits: BudgetSettings | None = None,
        key: str = KEY,
        **settings: Any,
    ) -> None:
        given = {
            "name": "m",
            "base_url": server.url,
            "concurrency": 4,
            "timeout": 5.0,
            "attempts": 2,
            **settings,
        }
        self.lines: list[str] = []
        self.endpoint = Endpoint(
            CallSettings(**given), Budget(store, "job", limits), key, self.lines.append
        )

    def ask(self, *texts: str, **decoding: Any) -> dict[str, Reply]:
        requests = [Request(text, text) for text in texts]
        given = Decoding(**{"max_new_tokens": 20, **decoding})
        return {reply.id: reply for reply in self.endpoint.generate(requests, given)}


def questions(count: int) -> list[str]:
    return [f"q{number}" for number in range(count)]


def number_in(body: dict[str, Any]) -> int:
    """The number of the question that is asked."""
    return int(body["messages"][-1]["content"][1:])


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# ---- no money, no key, no model, another place ----


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, error("Insufficient credits")),
        (429, error("You exceeded your current quota", code="insufficient_quota")),
        (429, error("You exceeded your current quota", type="insufficient_quota")),
        (400, error("Your credit balance is too low")),
        (200, error("Insufficient credits", code=402)),
        (200, error("Insufficient credits")),
        (403, error("no", code="insufficient_quota")),
        (200, {"error": "Payment Required"}),
    ],
)
def test_want_of_money_ends_the_job_with_the_servers_words(
    server: Server, store: ReplyStore, status: int, body: Any
) -> None:
    server.answer = lambda _, times: (status, body, {"retry-after": "1"})
    words = body["error"] if isinstance(body["error"], str) else body["error"]["message"]
    with pytest.raises(TeacherError, match=f"for want of money: {words}"):
        Asking(server, store).ask(*questions(20))
    assert server.calls == 1


def test_want_of_money_in_the_middle_keeps_what_is_under_way(
    server: Server, store: ReplyStore
) -> None:
    def answer(body: dict[str, Any], times: int) -> Answer:
        text = body["messages"][-1]["content"]
        if text == "q1":
            return 402, error("no credits left"), {}
        if text in ("q2", "q3", "q4"):
            time.sleep(0.3)
        return Server.echo(body, times)

    server.answer = answer
    with pytest.raises(TeacherError, match="no credits left"):
        Asking(server, store).ask(*questions(30))
    assert len(store) == server.calls - 1 >= 4, "replies under way are paid for, and stored"
    assert server.calls < 10


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_ends_the_job_and_nothing_follows_it(
    server: Server, store: ReplyStore, status: int
) -> None:
    other = Server()
    place = other.url.replace("127.0.0.1", "u:p@127.0.0.2") + "/x?token=1"
    server.answer = lambda _, times: (status, "", {"location": place})
    with pytest.raises(
        TeacherError, match=rf"sends on to 127\.0\.0\.2 \(status {status}\)"
    ) as raised:
        Asking(server, store).ask(*questions(5))
    assert server.calls == 1 and other.calls == 0
    assert "u:p" not in str(raised.value) and "token" not in str(raised.value)
    other.http.shutdown()
    other.http.server_close()


def test_a_refused_text_after_a_good_one_is_no_refused_key(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        (403, error("flagged"), {})
        if body["messages"][-1]["content"] == "q2"
        else Server.echo(body, times)
    )
    replies = Asking(server, store).ask(*questions(4))
    assert replies["q2"].error == "refused 403: flagged"
    assert [reply.finished for reply in replies.values()].count("end") == 3


# ---- a good status and no completion ----

NO_COMPLETIONS: dict[str, tuple[Any, str]] = {
    "error": (error("model overloaded"), "an error: model overloaded"),
    "error text": ({"error": "boom"}, "an error: boom"),
    "detail": (
        {"detail": [{"loc": ["body"], "msg": "field required"}]},
        "an error: field required",
    ),
    "html": (
        "<html><head><style>b{}</style></head><body><h1>Log in</h1></body></html>",
        "HTML: Log in",
    ),
    "events": (
        'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n',
        "server-sent events",
    ),
    "empty choices": ({"id": "x", "choices": []}, "`choices` is empty"),
    "null choices": ({"choices": None}, "no `choices` in the reply, which holds `choices`"),
    "other interface": (
        {"message": {"content": "hi"}, "done": True},
        "which holds `message`, `done`",
    ),
    "nothing": ("", "an empty body"),
    "null": ("null", "null"),
    "number": ("7", "a number"),
    "list": ("[1, 2]", "a list"),
    "list of errors": ([error("deep")], "an error: deep"),
    "text": ("upstream timed out", "text: upstream timed out"),
    "choice": ({"choices": ["hi"]}, "the first of `choices` is a text"),
    "no message": ({"choices": [{"index": 0}]}, "the first of `choices` has no `message`"),
    "deep": (
        '{"choices": ' + "[" * 10_000 + "]" * 10_000 + "}",
        "the first of `choices` is a list",
    ),
    "error in the choice": ({"choices": [{"error": {"message": "lost"}}]}, "an error: lost"),
    "escapes": (error("\x1b[31mred\x07\u202e"), "an error: [31mred"),
}


@pytest.mark.parametrize("kind", NO_COMPLETIONS)
def test_the_same_no_completion_again_and_again_ends_the_job(
    server: Server, store: ReplyStore, kind: str
) -> None:
    body, words = NO_COMPLETIONS[kind]
    server.answer = lambda _, times: (200, body, {})
    with pytest.raises(TeacherError, match="3 times in a row, no completion") as raised:
        Asking(server, store, attempts=5).ask(*questions(20))
    assert words in str(raised.value) and str(raised.value).isprintable()
    assert server.calls == 3 and len(store) == 0


def test_a_no_completion_that_passes_is_asked_again(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (
        (200, "<html>later", {}) if times == 1 else Server.echo(body, times)
    )
    assert Asking(server, store).ask("a")["a"].text == "re: a"


def test_a_blip_of_a_server_that_has_answered_ends_no_job(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        (200, "<html>", {}) if 5 < server.calls <= 9 else Server.echo(body, times)
    )
    replies = Asking(server, store, attempts=5).ask(*questions(50))
    assert all(reply.finished == "end" for reply in replies.values())


def test_a_server_that_turns_bad_ends_the_job_before_all_is_asked(
    server: Server, store: ReplyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.generation.diagnosis.BLIP_SECONDS", 0.05)
    server.answer = lambda body, times: (
        Server.echo(body, times) if number_in(body) < 5 else (200, "<html>down", {})
    )
    with pytest.raises(TeacherError, match="no completion, but HTML: down"):
        Asking(server, store, attempts=50).ask(*questions(200))
    assert server.calls < 100 and len(store) == 5


def test_a_server_that_fails_for_ever_ends_the_job_before_all_is_asked(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        Server.echo(body, times) if number_in(body) < 5 else (500, error("oops"), {})
    )
    with pytest.raises(
        TeacherError, match="10 requests in a row brought no reply, the last one: status 500: oops"
    ):
        Asking(server, store).ask(*questions(200))
    assert server.calls < 50 and len(store) == 5


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 504, 520, 524, 599])
def test_a_failure_of_the_server_at_the_start_ends_the_job(
    server: Server, store: ReplyStore, status: int
) -> None:
    server.answer = lambda _, times: (status, "<html><body>bad gateway</body></html>", {})
    with pytest.raises(
        TeacherError, match=f"none of the first 3 requests: status {status}: bad gateway"
    ):
        Asking(server, store).ask(*questions(20))
    assert server.calls == 2 + 2 + 2


@pytest.mark.parametrize(
    "bad", [(400, error("too long"), {}), (500, error("oops"), {}), (200, "<html>no", {})]
)
def test_a_few_rows_that_the_server_never_answers_do_not_end_every_rerun(
    server: Server, store: ReplyStore, bad: Answer
) -> None:
    server.answer = lambda body, times: (
        Server.echo(body, times) if body["messages"][-1]["content"] < "q5" else bad
    )
    for run in range(2):
        replies = Asking(server, store).ask(*questions(9))
        assert [reply.finished for reply in replies.values()].count("failed") == 4, f"run {run}"


# ---- shapes of content ----


def text_of(server: Server, store: ReplyStore, body: Any) -> Reply:
    server.answer = lambda _, times: (200, body, {})
    return Asking(server, store, attempts=1).ask("a")["a"]


@pytest.mark.parametrize("content", ["", None, 5], ids=["empty", "null", "a number"])
def test_a_server_that_only_sends_empty_replies_is_not_paid_for_every_row(
    server: Server, store: ReplyStore, content: Any
) -> None:
    server.answer = lambda _, times: (200, completion(content), {})
    with pytest.raises(TeacherError, match="answers none of the first 3 requests: empty reply"):
        Asking(server, store).ask(*questions(20))
    assert sum(server.asked.values()) <= 9


def test_a_row_whose_reply_is_empty_does_not_end_the_job(server: Server, store: ReplyStore) -> None:
    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        return 200, completion("" if number_in(body) == 0 else "7"), {}

    server.answer = answer
    replies = Asking(server, store, attempts=2).ask(*questions(6))
    assert [reply.finished for reply in replies.values()].count("failed") == 1


def test_a_long_number_beside_a_reply_costs_no_reply(server: Server, store: ReplyStore) -> None:
    body = json.dumps({**completion("7"), "created": 1}).replace(
        '"created": 1', f'"created": {"9" * 6000}'
    )
    assert text_of(server, store, body).text == "7"
    assert sum(server.asked.values()) == 1


def with_content(content: Any, **message: Any) -> dict[str, Any]:
    return completion(content, **message)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (with_content([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]), "42"),
        (with_content([{"type": "output_text", "text": "42"}]), "42"),
        (with_content(["4", "2"]), "42"),
        (with_content({"type": "text", "text": "42"}), "42"),
        (with_content([{"type": "text", "text": {"value": "42"}}]), "42"),
        (with_content("42", tool_calls=[{"id": "x"}]), "42"),
        (with_content("4\ud83d2"), "4\ufffd2"),
        (with_content("\ud83d\ude00"), "\U0001f600"),
        ({"choices": [{"text": "42", "finish_reason": "stop"}]}, "42"),
        ({"choices": [completion("42")["choices"][0], completion("43")["choices"][0]]}, "42"),
        ("\ufeff" + json.dumps(completion("42")), "42"),
        ("\n\n  " + json.dumps(completion("42")) + "\n", "42"),
        (json.dumps(completion("é"), ensure_ascii=False).encode("latin-1"), "é"),
        ({**completion("42"), "error": None}, "42"),
    ],
)
def test_text_is_read_in_every_shape(
    server: Server, store: ReplyStore, body: Any, text: str
) -> None:
    assert text_of(server, store, body).text == text
    assert Asking(server, store).ask("a")["a"].text == text, "from the store as well"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            with_content(None, refusal="I cannot help with that."),
            "refused by the model: I cannot help with that.",
        ),
        (with_content([{"type": "refusal", "refusal": "No."}]), "refused by the model: No."),
        (
            with_content(None, tool_calls=[{"id": "x"}]),
            "empty reply: the model calls a tool in place of an answer",
        ),
        (
            with_content(None, function_call={"name": "x"}),
            "empty reply: the model calls a tool in place of an answer",
        ),
        (completion("half", finish="content_filter"), "refused by the server's content filter"),
        (with_content(42), "empty reply: `content` is a number"),
        (with_content([{"type": "image_url"}]), "empty reply"),
        ('{"choices": [{"mess', "unreadable reply (broken JSON"),
        (json.dumps(completion("x")).replace('"x"', "9" * 5000), "empty reply"),
    ],
)
def test_what_is_no_text_is_named(
    server: Server, store: ReplyStore, body: Any, reason: str
) -> None:
    reply = text_of(server, store, body)
    assert reply.finished == "failed" and (reply.error or "").startswith(reason)


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_cut_reply_is_seen_whatever_the_server_calls_it(
    server: Server, store: ReplyStore, finish: str
) -> None:
    assert text_of(server, store, completion("half a", finish=finish)).finished == "limit"


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "3 + 4 = 7"},
        {"reasoning": "3 + 4 = 7"},
        {"reasoning_content": None, "reasoning": "3 + 4 = 7"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "3 + 4 = 7"}]},
                {"type": "text", "text": "7"},
            ]
        },
    ],
)
@pytest.mark.parametrize(
    ("thinking", "text"), [("drop", "7"), ("only", "3 + 4 = 7"), ("keep", "3 + 4 = 7\n\n7")]
)
def test_a_thought_beside_the_text_is_handed_over(
    server: Server, store: ReplyStore, message: dict[str, Any], thinking: str, text: str
) -> None:
    body = completion("7")
    body["choices"][0]["message"].update(message)
    server.answer = lambda _, times: (200, body, {})
    assert Asking(server, store, thinking=thinking).ask("a")["a"].text == text


def test_a_thought_that_was_cut_is_no_reply(server: Server, store: ReplyStore) -> None:
    reply = text_of(
        server, store, completion(None, finish="length", reasoning_content="first, 3 +")
    )
    assert reply.finished == "failed" and (reply.error or "").startswith("unfinished thought")


# ---- bodies that do not arrive as announced ----


def test_a_whole_completion_with_a_wrong_length_is_a_reply(
    server: Server, store: ReplyStore
) -> None:
    raw = json.dumps(completion("42"))
    server.answer = lambda _, times: (
        200,
        raw,
        {"content-length": str(len(raw) + 10), "connection": "close"},
    )
    server.protocol = "close"
    assert Asking(server, store, timeout=0.5).ask("a")["a"].text == "42"


def test_a_body_that_breaks_off_counts_in_full_and_is_asked_again(
    server: Server, store: ReplyStore
) -> None:
    def cut(handler: Any) -> None:
        handler.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"choices": [')

    server.answer = lambda body, times: cut if times == 1 else Server.echo(body, times)
    assert Asking(server, store).ask("a")["a"].text == "re: a"
    assert store.spent("job").output_tokens == 20 + 3, "what broke off may have been billed"


def test_a_dripping_server_meets_the_deadline_of_every_attempt(
    server: Server, store: ReplyStore
) -> None:
    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.02)

    server.answer = lambda _, times: drip
    began = time.monotonic()
    reply = Asking(server, store, timeout=0.2).ask("a")["a"]
    assert reply.finished == "failed" and (reply.error or "").startswith(
        "no complete reply within 0.2 seconds"
    )
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": -7},
        {"prompt_tokens": 10**30, "completion_tokens": 10**30},
        {"prompt_tokens": "7", "completion_tokens": True},
        {"prompt_tokens": 1.5, "completion_tokens": [1]},
        "none",
        None,
        [],
    ],
)
def test_odd_usage_keeps_the_reply_and_the_limit(
    server: Server, store: ReplyStore, usage: Any
) -> None:
    server.answer = lambda body, times: (200, {**completion("42"), "usage": usage}, {})
    replies = Asking(server, store, BudgetSettings(tokens=400)).ask(*questions(20))
    assert replies["q0"].text == "42"
    assert server.calls < 20 and 0 < store.spent("job").tokens <= 400


def test_the_key_is_in_no_body_that_is_kept(
    server: Server, store: ReplyStore, tmp_path: Path
) -> None:
    def answer(body: dict[str, Any], times: int) -> Answer:
        text = body["messages"][-1]["content"]
        return {
            "q0": (200, completion(f"your key is {KEY}"), {}),
            "q1": (500, error(f"bad {KEY}"), {}),
            "q2": (200, f"<html>{KEY}", {}),
        }[text]

    server.answer = answer
    Asking(server, store).ask(*questions(3))
    store.close()
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    kept = (
        sqlite3.connect(tmp_path / "replies.sqlite").execute("SELECT raw FROM failures").fetchall()
    )
    assert any("[key]" in raw for (raw,) in kept)


# ---- servers with parameters of their own ----


def o_series(body: dict[str, Any], times: int) -> Answer:
    if "max_tokens" in body:
        words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return 400, error(words, param="max_tokens", code="unsupported_parameter"), {}
    if "temperature" in body:
        words = "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) is supported."
        return 400, error(words, param="temperature", code="unsupported_value"), {}
    return Server.echo(body, times)


def test_a_server_of_other_parameters_is_asked_its_way(server: Server, store: ReplyStore) -> None:
    server.answer = o_series
    asking = Asking(server, store, attempts=1)
    replies = asking.ask(*questions(10), temperature=0.7)
    assert all(reply.finished == "end" for reply in replies.values())
    assert server.calls == 12, "two refusals teach it, and nobody repeats them"
    assert (
        server.bodies[-1]["max_completion_tokens"] == 20 and "temperature" not in server.bodies[-1]
    )
    assert sum("`max_completion_tokens` is sent instead" in line for line in asking.lines) == 1
    assert sum("refuses `temperature`: it is no longer sent" in line for line in asking.lines) == 1
    asking.ask("new", temperature=0.7)
    assert server.calls == 13, "remembered for the job"
    Asking(server, store).ask(*questions(10), temperature=0.7)
    assert server.calls == 13, "and the replies are those of what was asked"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
        (400, error("Unrecognized request argument supplied: seed")),
        (400, error("`seed` is deprecated for this model")),
    ],
)
def test_a_refused_seed_is_left_out(
    server: Server, store: ReplyStore, status: int, body: Any
) -> None:
    server.answer = lambda sent, times: (
        (status, body, {}) if "seed" in sent else Server.echo(sent, times)
    )
    assert Asking(server, store).ask("a", temperature=1.0)["a"].text == "re: a"


def test_a_value_out_of_range_is_no_unknown_parameter(server: Server, store: ReplyStore) -> None:
    words = "temperature must be between 0 and 1"
    server.answer = lambda _, times: (400, error(words, param="temperature"), {})
    assert Asking(server, store).ask("a", temperature=1.5)["a"].error == f"refused 400: {words}"
    assert server.calls == 1


def test_extra_parameters_are_sent_and_belong_to_what_was_asked(
    server: Server, store: ReplyStore
) -> None:
    extra = {"reasoning_effort": "low", "provider": {"order": ["a"]}, "temperature": None}
    Asking(server, store, extra_body=extra).ask("a")
    sent = server.bodies[-1]
    assert (
        sent["reasoning_effort"] == "low"
        and sent["provider"] == {"order": ["a"]}
        and "temperature" not in sent
    )
    Asking(server, store, extra_body=extra).ask("a")
    assert server.calls == 1
    Asking(server, store, extra_body={**extra, "reasoning_effort": "high"}).ask("a")
    Asking(server, store).ask("a")
    assert server.calls == 3, "other parameters are another request"


def test_the_limit_in_extra_parameters_is_the_limit(server: Server, store: ReplyStore) -> None:
    Asking(
        server, store, BudgetSettings(tokens=100_000), extra_body={"max_completion_tokens": 900}
    ).ask("a")
    assert (
        server.bodies[-1]["max_completion_tokens"] == 900 and "max_tokens" not in server.bodies[-1]
    )


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"n": 2}, "`n` cannot be set there; every sample is a call of its own"),
        ({"stream": True}, "`stream` cannot be set there"),
        ({"messages": []}, "`messages` cannot be set there"),
        ({"x": float("nan")}, "not JSON"),
        ({"x": {1, 2}}, "not JSON"),
        ({1: 2}, "no name of a parameter"),
        ({"max_tokens": "many"}, "expected a whole number"),
        ([1], "expected a JSON object"),
        ({"x": "\ud800"}, "not JSON"),
    ],
)
def test_extra_parameters_that_cannot_be_are_refused(extra: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        CallSettings(name="m", base_url="http://127.0.0.1:1/v1", extra_body=extra)


# ---- busy servers ----


def test_a_pause_is_told_with_its_end(
    server: Server, store: ReplyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda body, times: (
        (429, error("slow down"), {"retry-after": "0.3"})
        if times == 1
        else Server.echo(body, times)
    )
    asking = Asking(server, store)
    began = time.monotonic()
    assert asking.ask("a")["a"].text == "re: a"
    assert time.monotonic() - began >= 0.3
    (line,) = [line for line in asking.lines if "busy" in line]
    assert re.search(
        r"busy \(status 429: slow down\): waiting until \d\d:\d\d:\d\d \(the server asks for 0.3 s\)",
        line,
    )


def test_retry_after_zero_burns_no_calls(server: Server, store: ReplyStore) -> None:
    server.answer = lambda _, times: (429, error("no"), {"retry-after": "0"})
    with pytest.raises(TeacherError, match="has refused every call for"):
        Asking(server, store, patience=1.0).ask(*questions(50))
    assert server.calls <= 8, "pauses double"


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize(
    "after", ["21600", "inf", "1e400", "Fri, 31 Dec 2099 23:59:59 GMT", "99999999999999999999999"]
)
def test_a_server_that_asks_for_more_than_patience_ends_the_job(
    server: Server, store: ReplyStore, status: int, after: str
) -> None:
    server.answer = lambda _, times: (status, error("come back"), {"retry-after": after})
    with pytest.raises(
        TeacherError, match=r"asks to wait until .*longer than a patience of 900 seconds"
    ) as raised:
        Asking(server, store).ask(*questions(5))
    assert "come back" in str(raised.value) and server.calls == 2, "once more, as it may be a slip"


@pytest.mark.parametrize("after", ["21600", "inf"])
def test_one_slip_of_a_busy_server_ends_no_job(
    server: Server, store: ReplyStore, after: str
) -> None:
    server.answer = lambda body, times: (
        (429, error("busy"), {"retry-after": after})
        if (times, body["messages"][-1]["content"]) == (1, "q3")
        else Server.echo(body, times)
    )
    asking = Asking(server, store)
    assert all(reply.finished == "end" for reply in asking.ask(*questions(9)).values())
    assert any("longer than --patience; asked once more" in line for line in asking.lines)


@pytest.mark.parametrize(
    "after", ["-5", "soon", "nan", "", "Fri, 99 Foo 2099", "Mon, 01 Jan 1990 00:00:00 GMT"]
)
def test_a_senseless_retry_after_is_a_short_pause(
    server: Server, store: ReplyStore, after: str
) -> None:
    server.answer = lambda body, times: (
        (503, "busy", {"retry-after": after}) if times == 1 else Server.echo(body, times)
    )
    assert Asking(server, store).ask("a")["a"].text == "re: a"


def test_a_busy_server_for_ever_is_a_bounded_end_with_a_message(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda _, times: (503, "", {})
    asking = Asking(server, store, patience=0.4)
    began = time.monotonic()
    with pytest.raises(
        TeacherError,
        match=r"has refused every call for \d+ seconds \(status 503: Service Unavailable\)",
    ):
        asking.ask(*questions(30))
    assert time.monotonic() - began < 30 and any("waiting until" in line for line in asking.lines)


def test_after_two_pauses_one_call_goes_first(server: Server, store: ReplyStore) -> None:
    state = {"busy": False}

    def answer(body: dict[str, Any], times: int) -> Answer:
        if state["busy"]:
            return 429, error("no"), {}
        return Server.echo(body, times)

    server.answer = answer
    Asking(server, store).ask("first")
    state["busy"], before = True, server.calls
    with pytest.raises(TeacherError):
        Asking(server, store, concurrency=16, patience=1.0).ask(*questions(40))
    assert server.calls - before <= 1 + 16 + 6


# ---- places and keys ----


def test_the_place_is_told_before_the_first_call(server: Server, store: ReplyStore) -> None:
    asking = Asking(server, store)
    forecast = asking.endpoint.forecast([Request("a", "a")], Decoding())
    assert forecast.startswith(f"m at {server.url}: 1 requests") and server.calls == 0
    asking.ask("a")
    assert asking.lines == [f"asking m at {server.url}, with the key of OPENAI_API_KEY"]
    asking.ask("b")
    assert len(asking.lines) == 1, "once"


def test_stored_replies_need_no_key(server: Server, store: ReplyStore) -> None:
    Asking(server, store).ask("a")
    settings = CallSettings(name="m", base_url=server.url)
    withheld = Endpoint(
        settings, Budget(store, "job"), Access(None, "sk-1").key_for("https://elsewhere.example/v1")
    )
    assert [
        reply.text for reply in withheld.generate([Request("a", "a")], Decoding(max_new_tokens=20))
    ] == ["re: a"]
    with pytest.raises(
        RecipeError,
        match=r"OPENAI_BASE_URL is not set, so OPENAI_API_KEY goes to api[.]openai[.]com alone",
    ):
        list(withheld.generate([Request("b", "b")], Decoding(max_new_tokens=20)))


def test_a_password_in_a_url_reaches_nothing() -> None:
    with pytest.raises(RecipeError, match="carries a user name or a password") as raised:
        CallSettings(name="m", base_url="http://user:hunter2@127.0.0.1:1/v1")
    assert "hunter2" not in str(raised.value)


def test_failures_that_are_tried_again_are_told(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (500, "", {}) if times < 4 else Server.echo(body, times)
    asking = Asking(server, store, attempts=5)
    assert asking.ask("a")["a"].text == "re: a"
    told = [line for line in asking.lines if "asked again" in line]
    assert told == [
        f"{server.url}: status 500: Internal Server Error; asked again (call 2 of 5)"
    ], "once in a while"


def test_a_server_that_is_down_is_not_asked_five_times_for_each_of_the_first(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda _, times: (500, "", {})
    with pytest.raises(
        TeacherError,
        match="none of the first 3 requests: status 500: Internal Server Error, 5 calls",
    ):
        Asking(server, store, attempts=5).ask(*questions(20))
    assert server.calls == 5 + 2 + 2


def test_a_slow_server_is_told_with_the_option_that_helps(
    server: Server, store: ReplyStore
) -> None:
    server.delay = 0.3
    with pytest.raises(
        TeacherError, match=r"no reply within 0.1 seconds.* Or allow more time \(--timeout\)"
    ):
        Asking(server, store, timeout=0.1, attempts=1).ask(*questions(9))


def test_a_model_without_a_name_is_refused() -> None:
    with pytest.raises(RecipeError, match="the model's name is empty"):
        CallSettings(name=" ", base_url="http://127.0.0.1:1/v1")


def test_leaving_while_all_wait_takes_no_time(server: Server, store: ReplyStore) -> None:
    server.answer = lambda body, times: (
        Server.echo(body, times) if server.calls == 1 else (429, "", {"retry-after": "500"})
    )
    asking = Asking(server, store)
    replies = asking.endpoint.generate([Request(text, text) for text in questions(9)], Decoding())
    next(replies)
    time.sleep(0.1)
    began = time.monotonic()
    replies.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    assert sum("waiting until" in line for line in asking.lines) == 1, (
        "four calls were refused, the user hears once"
    )


def test_a_flood_is_not_kept_whole(server: Server, store: ReplyStore, tmp_path: Path) -> None:
    def flood(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n")
        for _ in range(20):
            handler.wfile.write(b"x" * 1_000_000)

    server.answer = lambda _, times: flood
    reply = Asking(server, store).ask("a")["a"]
    assert reply.error == "reply of more than 8 MiB, the rest was not read, 2 calls"
    store.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2**20


def test_https_at_a_plain_server_is_one_message(server: Server, store: ReplyStore) -> None:
    with pytest.raises(TeacherError, match="cannot connect securely to"):
        Asking(server, store, base_url=server.url.replace("http://", "https://")).ask("a")


def test_many_rows_that_are_never_answered_end_no_rerun_for_ever(
    server: Server, store: ReplyStore
) -> None:
    server.answer = lambda body, times: (
        (500, "", {}) if 20 <= number_in(body) < 50 else Server.echo(body, times)
    )
    ends = 0
    for _ in range(9):
        try:
            replies = Asking(server, store, attempts=1).ask(*questions(80))
        except TeacherError:
            ends += 1
        else:
            break
    assert 0 < ends < 9 and len(store) == 50
    assert [reply.finished for reply in replies.values()].count("failed") == 30


@pytest.mark.parametrize("key", ["token", "k", "1234", "12345678", "transformers"])
def test_a_key_that_is_a_plain_word_spoils_no_reply(
    server: Server, store: ReplyStore, key: str
) -> None:
    server.answer = lambda _, times: (200, completion(f"So it is {key}."), {})
    assert Asking(server, store, key=key).ask("a")["a"].text == f"So it is {key}."


def cut_body(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")


FAULTS: list[Answer] = [
    None,
    cut_body,
    (500, "", {}),
    (503, "busy", {}),
    (429, error("slow"), {"retry-after": "0"}),
    (200, "<html>log in", {}),
    (200, "", {}),
    (200, b"\xff\x00", {}),
    (200, completion(""), {}),
    (400, error("too long"), {}),
    (403, error("flagged"), {}),
]


@pytest.mark.parametrize(
    ("seed", "limits"),
    [(0, BudgetSettings()), (1, BudgetSettings(calls=50)), (2, BudgetSettings(tokens=2000))],
)
def test_whatever_fails_in_between_every_request_has_an_end_and_limits_hold(
    server: Server, store: ReplyStore, seed: int, limits: BudgetSettings
) -> None:
    chance = random.Random(seed)
    server.answer = lambda body, times: (
        chance.choice(FAULTS)
        if server.calls > 1 and chance.random() < 0.3
        else Server.echo(body, times)
    )
    replies = Asking(server, store, limits, concurrency=16, patience=30).ask(*questions(60))
    assert set(replies) == set(questions(60))
    assert all(reply.error or reply.text == f"re: {name}" for name, reply in replies.items())
    spent = store.spent("job")
    assert spent.calls == server.calls
    assert limits.calls is None or spent.calls <= limits.calls
    assert limits.tokens is None or spent.tokens <= limits.tokens
