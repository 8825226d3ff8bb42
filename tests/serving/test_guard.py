"""Who may ask, and what is logged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smallsteps.serving import guard
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.guard import AccessRule, Guard, read_whole

LOCAL = AccessRule()
KEYED = AccessRule("secret key of 16", "0.0.0.0")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000", "LOCALHOST:1"]
)
def test_this_machine_may_ask_under_its_own_names(host: str) -> None:
    LOCAL.check("/v1/models", {"host": host})


@pytest.mark.parametrize("host", ["", "evil.example:8000", "127.0.0.1.evil.example", "[::1", "x@y"])
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    with pytest.raises(ApiError) as refused:
        LOCAL.check("/", {"host": host})
    assert (refused.value.status, refused.value.code) == (403, "wrong_host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8001", ""])
def test_pages_of_other_sites_may_not_ask(origin: str) -> None:
    headers = {"host": "127.0.0.1:8000", "origin": origin}
    with pytest.raises(ApiError, match="Pages of other sites"):
        LOCAL.check("/v1/chat/completions", headers)
    LOCAL.check("/v1/models", {**headers, "origin": "http://127.0.0.1:8000"})


def test_with_a_key_any_name_will_do_but_only_the_page_and_health_are_open() -> None:
    headers = {"host": "students.example"}
    for path in ("/", "/health", "/playground.css", "/playground.js"):
        KEYED.check(path, headers)
    for given in ("", "Bearer", "Bearer wrong", "Basic secret key of 16", "secret key of 16"):
        with pytest.raises(ApiError, match="A key is needed") as refused:
            KEYED.check("/v1/models", {**headers, "authorization": given})
        assert refused.value.status == 401
    KEYED.check("/playground/students", {**headers, "authorization": "bearer secret key of 16"})


def test_the_key_is_in_no_text_of_the_rule() -> None:
    assert "secret" not in repr(KEYED)


def receiving(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_whole_and_one_that_is_too_large_is_refused_whatever_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "MAX_BODY", 10)
    body = asyncio.run(read_whole(receiving(part(b"12345", True), part(b"67890")), {}))
    assert body == b"1234567890"
    with pytest.raises(ApiError) as refused:
        asyncio.run(read_whole(receiving(part(b"123456", True), part(b"67890")), {}))
    assert refused.value.status == 413
    with pytest.raises(ApiError):
        asyncio.run(read_whole(receiving(), {"content-length": "11"}))


def request(path: str, application: Any, **headers: str) -> tuple[list[dict[str, Any]], list[str]]:
    """(messages sent, lines logged)."""
    sent: list[dict[str, Any]] = []
    lines: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": fields}
    watched = Guard(application, LOCAL, lines.append)
    asyncio.run(watched(scope, receiving(part(b"a secret question")), send))
    return sent, lines


def test_the_application_gets_the_body_and_the_log_only_method_path_status_and_seconds() -> None:
    bodies = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 204, "headers": []})

    _, (line,) = request("/v1/x\ny", application, host="localhost")
    assert bodies == [b"a secret question"]
    assert line.startswith("POST /v1/x%0Ay 204 0.0") and line.endswith(" s")


def test_what_is_refused_never_reaches_the_application() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent, (line,) = request("/v1/models", application, host="evil.example")
    assert sent[0]["status"] == 403 and b"wrong_host" in sent[1]["body"]
    assert " 403 " in line
