"""One call to a model's server, a POST or a GET, bounded in time and in size.

- The deadline holds for the whole call: a server that sends a byte a second does not get past it.
- A body is read up to a limit, before and after it is unpacked.
- A redirect is not followed: prompts and key go to the host that was named and to no other.
- A server on this machine is asked without a proxy; for others only the proxy in use is checked.

A response that was cut short comes back with what had arrived, as it may have been paid for.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import zlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from smallsteps import __version__
from smallsteps.errors import TeacherError
from smallsteps.generation.access import host_of, on_this_machine

BODY_LIMIT = 8 * 2**20
"""Bytes; a reply of 100,000 tokens has less than one million."""

ZIPPED = 32 + zlib.MAX_WBITS
"""zlib's word for gzip or zlib, whichever it is."""


@dataclass(frozen=True)
class Response:
    """What a server sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """Unpacked, as UTF-8 without a byte order mark."""
    broken: str = ""
    """Why the body is not whole; empty where it is."""


class Unanswered(Exception):
    """No response came; the words say why."""

    def __init__(self, reason: str, unheard: bool = False) -> None:
        super().__init__(reason)
        self.unheard = unheard
        """Whether nothing can have reached the server, so that nobody bills it."""


def open_client(url: str) -> httpx2.AsyncClient:
    """A client for calls to `url`. Raises TeacherError where the environment names a proxy or
    certificates that cannot be used."""
    variable, proxy = proxy_for(url)
    try:
        certificates = httpx2.create_ssl_context(trust_env=True)
    except OSError as error:
        names = [
            name
            for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
            if name in os.environ
        ]
        raise TeacherError(
            f"{' or '.join(names) or 'the system'} names no certificates that can be read "
            f"({error.strerror or error}). Correct or unset it."
        ) from None
    try:
        urlsplit(proxy or "").port  # noqa: B018 (raises ValueError above 65,535)
        return httpx2.AsyncClient(
            proxy=proxy,
            verify=certificates,
            trust_env=False,
            timeout=None,
            limits=httpx2.Limits(max_connections=None),
            headers={"user-agent": f"smallsteps/{__version__}", "accept-encoding": "gzip"},
        )
    except (ImportError, ValueError, httpx2.InvalidURL):
        scheme = (proxy or "").partition("://")[0]
        what = f"a {scheme} proxy" if scheme else "no URL"
        raise TeacherError(
            f"{variable} names {what}; smallsteps goes through http:// and https:// proxies. "
            f"Name one of those, or type: export NO_PROXY={host_of(url)}"
        ) from None


def proxy_for(url: str) -> tuple[str, str | None]:
    """(name of the environment variable, the proxy that it names for `url`, None: none)."""
    host = host_of(url)
    if on_this_machine(url) or proxy_bypass(host):
        return "", None
    proxies = getproxies()
    for scheme in (urlsplit(url).scheme, "all"):
        if proxy := proxies.get(scheme, "").strip():
            variable = f"{scheme}_proxy"
            name = variable if variable in os.environ else variable.upper()
            return name, proxy if "://" in proxy else f"http://{proxy}"
    return "", None


async def post(
    client: httpx2.AsyncClient, url: str, key: str, content: Mapping[str, Any], seconds: float
) -> Response:
    """The response to `content` as JSON, within `seconds` in all. Raises Unanswered."""
    headers = {
        "content-type": "application/json",
        **({"authorization": f"Bearer {key}"} if key else {}),
    }
    sent = json.dumps(
        content
    ).encode()  # as ASCII: half a surrogate pair in a prompt is the server's to refuse
    return await _response(client.stream("POST", url, content=sent, headers=headers), seconds)


async def get(client: httpx2.AsyncClient, url: str, seconds: float) -> Response:
    """What a server without a key says at `url`, within `seconds` in all. Raises Unanswered."""
    return await _response(client.stream("GET", url), seconds)


async def _response(call: AbstractAsyncContextManager[httpx2.Response], seconds: float) -> Response:
    """The response to a call, read whole within `seconds`. Raises Unanswered."""
    body, status, answered = bytearray(), 0, httpx2.Headers()
    broken = ""
    try:
        async with asyncio.timeout(seconds):
            async with call as response:
                status, answered = response.status_code, response.headers
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > BODY_LIMIT:
                        broken = _too_long()
                        break
    except TimeoutError:
        broken = f"no reply within {seconds:g} seconds"
        if status:
            broken = f"no complete reply within {seconds:g} seconds, {len(body):,} bytes of it came"
    except (httpx2.ConnectError, httpx2.ProxyError) as error:
        raise Unanswered(f"connection failed ({_cause(error)})", unheard=True) from None
    except (httpx2.HTTPError, httpx2.StreamError, OSError, ValueError) as error:
        broken = f"connection failed ({_cause(error)})"
        if status:
            broken = f"connection broke off after {len(body):,} bytes ({_cause(error)})"
    if broken and not body:
        raise Unanswered(broken)
    try:
        plain = unpacked(bytes(body))
    except Oversize:
        plain, broken = bytes(body[:BODY_LIMIT]), broken or _too_long()
    return Response(status, answered, as_utf8(plain, answered.get("content-type", "")), broken)


class Oversize(ValueError):
    """More bytes than BODY_LIMIT."""


def unpacked(body: bytes) -> bytes:
    """A body without its packing; what is not packed, whatever its header says, comes back as it
    is.

    Raises Oversize.
    """
    if body[:2] != b"\x1f\x8b" and (body[:1] != b"\x78" or int.from_bytes(body[:2], "big") % 31):
        return body
    unpacker = zlib.decompressobj(ZIPPED)
    try:
        plain = unpacker.decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        return body
    if len(plain) > BODY_LIMIT:
        raise Oversize
    return plain


def as_utf8(body: bytes, content_type: str) -> bytes:
    """A text in whatever encoding it is; bytes that are no text come out as Latin-1, so that
    nothing is lost."""
    declared = re.search(r"charset=\"?([\w.:-]+)", content_type, re.IGNORECASE)
    for encoding in (json.detect_encoding(body), declared[1] if declared else "utf-8", "latin-1"):
        with suppress(LookupError, ValueError):
            return body.decode(encoding).removeprefix("\ufeff").encode()
    return body


def _too_long() -> str:
    return f"reply of more than {BODY_LIMIT // 2**20} MiB, the rest was not read"


def _cause(error: BaseException) -> str:
    """A failure of the network in a few words."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
