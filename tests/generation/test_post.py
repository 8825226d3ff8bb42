"""One POST against servers that drip, lie, flood and break off."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from loopback import Server, completion
from smallsteps.errors import TeacherError
from smallsteps.generation import post as posting
from smallsteps.generation.post import Response, Unanswered, open_client, post, proxy_for

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def send(url: str, seconds: float = 5.0, key: str = "sk-1", text: str = "q") -> Response:
    async def call() -> Response:
        content = {"messages": [{"role": "user", "content": text}]}
        async with open_client(url) as client:
            return await post(client, url + "/chat/completions", key, content, seconds)

    return asyncio.run(call())


def head(handler: BaseHTTPRequestHandler, *lines: str) -> None:
    handler.wfile.write("\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode())


def drip(handler: BaseHTTPRequestHandler) -> None:
    head(handler, "content-length: 1000000")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(100):
        handler.wfile.write(f"x-{n}: y\r\n".encode())
        time.sleep(0.05)


def flood(handler: BaseHTTPRequestHandler) -> None:
    head(handler, "content-length: 500000000")
    for _ in range(500):
        handler.wfile.write(b" " * 1_000_000)


def test_a_server_that_drips_its_body_meets_the_deadline(server: Server) -> None:
    server.answer = lambda body, times: drip
    began = time.monotonic()
    assert send(server.url, 0.3).broken.startswith("no complete reply within 0.3 seconds")
    assert time.monotonic() - began < 4


def test_a_server_that_drips_its_headers_meets_the_deadline(server: Server) -> None:
    server.answer = lambda body, times: drip_headers
    began = time.monotonic()
    with pytest.raises(Unanswered, match=r"^no reply within 0[.]3 seconds$"):
        send(server.url, 0.3)
    assert time.monotonic() - began < 4


def test_a_body_without_end_is_read_up_to_a_limit(server: Server) -> None:
    server.answer = lambda body, times: flood
    response = send(server.url)
    assert response.broken == "reply of more than 8 MiB, the rest was not read"
    assert len(response.body) < 10 * 2**20


def test_a_gzip_bomb_is_unpacked_up_to_a_limit(server: Server) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(200)) + packer.flush()
    assert len(bomb) < 2**19
    server.answer = lambda body, times: (200, bomb, {"content-encoding": "gzip"})
    tracemalloc.start()
    response = send(server.url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert response.broken.startswith("reply of more than 8 MiB") and peak < 64 * 2**20


@pytest.mark.parametrize("lie", ["gzip for plain", "plain for gzip", "br", "twice"])
def test_a_wrong_content_encoding_is_seen_through(server: Server, lie: str) -> None:
    plain = json.dumps(completion("hi")).encode()
    body = gzip.compress(plain) if lie in ("plain for gzip", "twice") else plain
    encoding = {
        "gzip for plain": "gzip",
        "plain for gzip": "identity",
        "br": "br",
        "twice": "gzip, gzip",
    }[lie]
    server.answer = lambda _, times: (200, body, {"content-encoding": encoding})
    assert send(server.url).body == plain


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_a_body_in_another_encoding_becomes_utf_8(server: Server, encoding: str) -> None:
    text = json.dumps(completion("déjà vu"), ensure_ascii=False)
    server.answer = lambda _, times: (200, text.encode(encoding), {})
    assert send(server.url).body.decode() == text


def test_a_declared_charset_is_believed_where_the_body_is_no_utf_8(server: Server) -> None:
    server.answer = lambda _, times: (
        200,
        "да".encode("koi8-r"),
        {"content-type": "text/plain; charset=KOI8-R"},
    )
    assert send(server.url).body.decode() == "да"


def test_what_came_before_a_break_is_kept(server: Server) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        head(handler, "content-length: 100")
        handler.wfile.write(b'{"choices')

    server.answer = lambda body, times: cut
    response = send(server.url)
    assert response.body == b'{"choices' and response.broken.startswith(
        "connection broke off after 9 bytes"
    )


def test_chunks_that_end_in_the_middle_are_a_break(server: Server) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        head(handler, "transfer-encoding: chunked")
        handler.wfile.write(b"5\r\nhello\r\nff\r\nhe")

    server.answer = lambda body, times: cut
    assert send(server.url).broken.startswith("connection broke off after 7 bytes")


def test_a_reset_is_no_traceback(server: Server) -> None:
    def reset(handler: BaseHTTPRequestHandler) -> None:
        head(handler, "content-length: 100")
        handler.wfile.write(b"x")
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        handler.connection.close()

    server.answer = lambda body, times: reset
    try:
        assert "connection" in send(server.url).broken
    except Unanswered as error:
        assert "connection failed" in str(error)


@pytest.mark.parametrize(
    "bytes_", [b"\0\1\2\3\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"+OK\r\n"]
)
def test_a_server_of_something_else_is_named(server: Server, bytes_: bytes) -> None:
    server.answer = lambda body, times: lambda handler: handler.wfile.write(bytes_)
    with pytest.raises(Unanswered, match="connection failed"):
        send(server.url)


def test_nobody_listening_is_unheard() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(Unanswered, match="connection failed") as error:
        send(url)
    assert error.value.unheard


def test_a_redirect_is_not_followed(server: Server) -> None:
    other = Server()
    server.answer = lambda body, times: (307, "", {"location": other.url + "/chat/completions"})
    assert send(server.url).status == 307
    assert other.calls == 0
    other.http.shutdown()
    other.http.server_close()


def test_no_key_means_no_header(server: Server) -> None:
    send(server.url, key="")
    send(server.url, key="sk-2")
    assert [sent.get("authorization") for sent in server.headers] == [None, "Bearer sk-2"]


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://", "http://h:99999"]
)
def test_a_server_on_this_machine_is_asked_without_a_proxy(
    server: Server, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES[:3]:
        monkeypatch.setenv(name.upper(), proxy)
    assert send(server.url).status == 200


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (
            "socks5://secret:pw@127.0.0.1:9",
            "ALL_PROXY names a socks5 proxy; .* export NO_PROXY=api.example.com",
        ),
        ("ftp://127.0.0.1:9", "ALL_PROXY names a ftp proxy"),
        ("http://127.0.0.1:99999", "ALL_PROXY names"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_message(
    proxy: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(TeacherError, match=message) as error:
        open_client("https://api.example.com/v1")
    assert "secret" not in str(error.value) and "pw" not in str(error.value)


def test_certificates_that_are_not_there_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(TeacherError, match="SSL_CERT_FILE names no certificates that can be read"):
        open_client("https://api.example.com/v1")


def test_only_the_proxy_in_use_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert proxy_for("https://api.example.com/v1") == ("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert proxy_for("https://api.example.com/v1") == ("", None)


def test_many_calls_at_once_wait_for_no_connection(server: Server) -> None:
    server.delay = 0.2

    async def calls() -> list[Response]:
        content: dict[str, Any] = {"messages": [{"role": "user", "content": "q"}]}
        async with open_client(server.url) as client:
            many = (
                post(client, server.url + "/chat/completions", "", content, 5) for _ in range(120)
            )
            return await asyncio.gather(*many)

    began = time.monotonic()
    assert all(response.status == 200 for response in asyncio.run(calls()))
    assert time.monotonic() - began < 4
    assert threading.active_count() < 200


def test_unpacked_leaves_alone_what_is_not_packed() -> None:
    assert posting.unpacked(b"x\x9cthis is no zlib") == b"x\x9cthis is no zlib"
    assert posting.unpacked(b"") == b""
    assert posting.unpacked(zlib.compress(b"{}")) == b"{}"
