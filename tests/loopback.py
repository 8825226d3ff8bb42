"""A server on loopback that speaks OpenAI's interface and fails in every way a server can."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


def completion(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


Answer = tuple[int, Any, dict[str, str]] | Callable[[BaseHTTPRequestHandler], None] | None


class Server:
    """`answer(request body, how often this text or these ids were asked)` gives (status, body, headers), or None:
    cut the connection, or a function that writes to the socket as it likes. Bodies are sent as they
    are where they are bytes or text."""

    def __init__(self, port: int = 0) -> None:
        """port: 0 takes a free one."""
        self.answer: Callable[[dict[str, Any], int], Answer] = self.echo
        self.asked: Counter[str] = Counter()
        self.times: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.delay = 0.0
        self.models, self.models_status = ["m"], 200
        """What `GET` brings, whatever its path."""
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                chat = body.get("messages")
                text = chat[-1]["content"] if chat else " ".join(map(str, body.get("prompt", ())))
                with lock:
                    server.asked[text] += 1
                    server.times.append(time.monotonic())
                    server.bodies.append(body)
                    server.headers.append(
                        {name.lower(): value for name, value in self.headers.items()}
                    )
                    times = server.asked[text]
                time.sleep(server.delay)
                said = server.answer(body, times)
                if said is None:
                    self.close_connection = True
                    return
                if callable(said):
                    self.close_connection = True
                    said(self)
                    return
                status, content, headers = said
                raw = content if isinstance(content, bytes) else None
                if raw is None:
                    raw = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                for name, value in {
                    "content-type": "application/json",
                    "content-length": str(len(raw)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self) -> None:
                content = {"object": "list", "data": [{"id": name} for name in server.models]}
                raw = json.dumps(content).encode()
                self.send_response(server.models_status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that gave up

        self.http = Quiet(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def echo(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        return 200, completion("re: " + body["messages"][-1]["content"]), {}

    @property
    def calls(self) -> int:
        return sum(self.asked.values())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A fresh one; what it answers can be changed at any time. Attempts for one reply follow each
    other at once."""
    monkeypatch.setattr("smallsteps.generation.buying.LONGEST_REST", 0.01)
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()
