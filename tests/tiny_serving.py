"""Tiny students of every kind as a server has them, and a server on loopback over them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import uvicorn

from smallsteps.generation.generator import Decoding
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.application import make_application
from smallsteps.serving.guard import AccessRule
from smallsteps.serving.reply_choice import Event, Failure, Piece, ReplyChoice, Written
from smallsteps.serving.served_student import ScriptMaker, ServedStudent
from smallsteps.serving.server import listening_socket, url_of
from smallsteps.serving.worker import Worker
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from tiny_solving import Tiny, a_task, marked

TASK = a_task(max_chain_tokens=30)
KINDS = ("direct", "uni", "cue", "dual")
ALL = [
    *((style, kind) for style in ("t5", "bart") for kind in KINDS),
    *(("llama", kind) for kind in ("direct", "uni", "dual")),
]
"""Every kind of student that smallsteps trains."""


def trained(tiny: Tiny, style: str, kind: str) -> Student | DualStudent:
    """A tiny student of random weights, prepared for that kind of answering."""
    if kind == "dual":
        es = prepare(tiny(style, seed=1), TASK, path="dual", role="ES")
        as_ = prepare(tiny(style, seed=2), TASK, path="dual", role="AS")
        assert es.drive is not None
        return DualStudent(marked(es, 0.8), marked(as_, 0.8), es.drive)
    path: Any = "direct" if kind == "direct" else "uni"
    student = prepare(tiny(style), TASK, path=path, cue=kind == "cue")
    return marked(student, 0.8) if style == "llama" and kind == "uni" else student


def served(tiny: Tiny, style: str = "t5", kind: str = "uni", batch_size: int = 8) -> ServedStudent:
    """A tiny student with the name `style-kind`; kind `text`: without a task."""
    student = tiny(style) if kind == "text" else trained(tiny, style, kind)
    task = None if kind == "text" else TASK
    return ServedStudent(f"{style}-{kind}", student, task, batch_size)


def slow(tiny: Tiny, **options: Any) -> ServedStudent:
    """A student whose replies to a plain prompt never end by themselves."""
    return ServedStudent("slow", tiny("llama", talkative=0.0), None, **options)


class Collector:
    """Submits choices to a worker and waits for what comes of them."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def write(
        self, model: str, makers: Sequence[ScriptMaker], decoding: Decoding, **options: Any
    ) -> tuple[list[Written], list[str]]:
        """(written choices in order, the pieces of each joined). Raises ApiError."""
        events: list[Event] = []
        arrived = threading.Condition()

        def emit(event: Event) -> None:
            with arrived:
                events.append(event)
                arrived.notify()

        choices = [
            ReplyChoice(n, maker, decoding, emit, streams=True, **options)
            for n, maker in enumerate(makers)
        ]
        self.worker.submit(model, choices)
        with arrived:
            while sum(not isinstance(event, Piece) for event in events) < len(makers):
                assert arrived.wait(60), "nothing came"
        for event in events:
            if isinstance(event, Failure):
                raise event.error
        written = sorted(
            (event for event in events if isinstance(event, Written)), key=lambda w: w.choice
        )
        joined = [
            "".join(e.text for e in events if isinstance(e, Piece) and e.choice == n)
            for n in range(len(makers))
        ]
        return written, joined


@contextmanager
def working(*students: ServedStudent, queue_limit: int = 256) -> Iterator[Collector]:
    """A worker over the students, which stops at the end."""
    worker = Worker(students, queue_limit)
    worker.start()
    try:
        yield Collector(worker)
    finally:
        worker.stop()


class RunningServer:
    """A server that answers on loopback."""

    def __init__(self, url: str, lines: list[str]) -> None:
        self.url, self.lines = url, lines
        self.base_url = f"{url}/v1"
        self._clients: dict[str, openai.OpenAI] = {}

    def client(self, key: str = "none") -> openai.OpenAI:
        """The official client, which does not try again."""
        if key not in self._clients:
            self._clients[key] = openai.OpenAI(
                base_url=self.base_url, api_key=key, max_retries=0, timeout=60
            )
        return self._clients[key]

    def close_clients(self) -> None:
        """Closes their connections."""
        for client in self._clients.values():
            client.close()


@contextmanager
def serving(
    *students: ServedStudent,
    feedback: Path = Path("never.jsonl"),
    key: str | None = None,
    queue_limit: int = 256,
) -> Iterator[RunningServer]:
    """A server over the students in a thread of this process."""
    lines: list[str] = []
    application = make_application(
        students,
        access=AccessRule(key),
        feedback=feedback,
        queue_limit=queue_limit,
        log=lines.append,
    )
    with listening_socket("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            application,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        running = RunningServer(url_of(listening), lines)
        try:
            yield running
        finally:
            running.close_clients()
            server.should_exit = True
            thread.join(30)


def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    """Waits until it holds. Raises AssertionError where it does not by then."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.01)


def error_of(error: ApiError) -> tuple[int, str | None]:
    """(status, code)."""
    return error.status, error.code
