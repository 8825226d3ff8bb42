"""What stands before every request: who may ask, how much may be sent, and what is logged.

A server on loopback is open to every program of this machine, but not to web pages: a page of
another site may not call it (`Origin`), nor under a name that it made point here (`Host`, DNS
rebinding). With a key every request needs it, but for the page itself and `/health`. Logged are
method, path, status and seconds, and nothing that a client wrote."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from smallsteps.serving.api_errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 2**20
"""Bytes of a body."""
OPEN_PATHS = ("/", "/health", "/playground.css", "/playground.js")
"""What needs no key: it says nothing of anybody."""


@dataclass(frozen=True)
class AccessRule:
    """Who may ask."""

    key: str | None = field(default=None, repr=False)
    """None: everybody on this machine."""
    host: str = "127.0.0.1"
    """The address that the server listens at."""

    def check(self, path: str, headers: dict[str, str]) -> None:
        """Raises ApiError where the request is refused."""
        host = headers.get("host", "")
        if self.key is None and _name_of(host) not in (*LOOPBACK, self.host):
            raise ApiError(
                403,
                "This server has no key and answers only under the address that it listens at, "
                "such as 127.0.0.1.",
                code="wrong_host",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise ApiError(
                403, "Pages of other sites may not call this server.", code="wrong_origin"
            )
        if self.key is not None and path not in OPEN_PATHS:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self.key.encode())
            if scheme.lower() != "bearer" or not right:
                raise ApiError(
                    401,
                    "A key is needed: Authorization: Bearer KEY, the one that the server was "
                    "started with.",
                    code="invalid_api_key",
                )


def _name_of(host: str) -> str | None:
    """The name in a `Host` field, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class Guard:
    """An ASGI application around another one."""

    def __init__(
        self, application: Application, access: AccessRule, log: Callable[[str], None]
    ) -> None:
        self.application, self.access, self.log = application, access, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, watched_send)
        finally:
            seconds = time.perf_counter() - begun
            path = quote(scope["path"])[:200]  # quoted: no line break of a client gets in here
            self.log(f"{scope['method']} {path} {status or 'no answer'} {seconds:.3f} s")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import JSONResponse

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            self.access.check(scope["path"], headers)
            body = await read_whole(receive, headers)
        except ApiError as error:
            response = JSONResponse(error.body(), error.status, error.headers())
            await response(scope, receive, send)
            return
        await self.application(scope, _with_body(body, receive), send)


async def read_whole(receive: Receive, headers: dict[str, str]) -> bytes:
    """The body of a request. Raises ApiError where it is larger than MAX_BODY."""
    too_large = ApiError(413, f"The body is larger than {MAX_BODY:,} bytes.", code="too_large")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise too_large
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise too_large
        more = message.get("more_body", False)
    return b"".join(parts)


def _with_body(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what `receive` gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
