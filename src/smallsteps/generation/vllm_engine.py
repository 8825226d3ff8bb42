"""The engine `vllm`: a vLLM server writes for a causal student.

The student's weights go to the server as a folder, LoRA adapters merged, and the server runs as
long as the engine is open. Prompts are the ids that the local engine reads, and replies come back
as ids, so that no text is cut into tokens twice. `Request.stop` is asked when a reply is whole;
what follows the token at which it says yes is cut off (`plain.cut`).

Requests go out at once, `batch_size` at a time: chains do not wait for each other. One request
brings one sample, with a seed that depends on (seed, request id, sample).

While a student is trained, the server stays and takes new weights (`renew`) from a folder, which
only a server in vLLM's development mode does."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from smallsteps.errors import EngineError, RecipeError, StudentError
from smallsteps.generation.generator import (
    Decoding,
    EngineSettings,
    Reply,
    Request,
    run_session,
)
from smallsteps.generation.post import open_client
from smallsteps.generation.sampling import ReplyRow, new_rows
from smallsteps.generation.served_weights import save_served
from smallsteps.generation.server_process import ServerProcess, free_port
from smallsteps.generation.token_calls import TokenCalls, WrittenIds
from smallsteps.generation.token_requests import body_of, check_logprobs, reply_of
from smallsteps.students.student import Student
from smallsteps.students.weights import DTYPES

SERVED_NAME = "student"
MEMORY, MEMORY_OF_HALF, MEMORY_BESIDE_TRAINING = "0.9", "0.45", "0.3"
"""Share of a card's memory for a server; for that of one half of a pair; for one beside the
training of the student."""
LAUNCH = frozenset(
    {
        *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME"),
        *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
        *("MASTER_ADDR", "MASTER_PORT"),
    }
)
"""Variables by which torchrun tells a process its place."""


class VllmEngine:
    """An `Engine` over a server, which is started when the first request is written.

    Raises StudentError where the student is no causal model or cannot be served at the address that
    the settings name, RecipeError where the server's program is missing."""

    def __init__(self, student: Student, settings: EngineSettings) -> None:
        check_served(student, settings)
        self.student, self.settings = student, settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._process: ServerProcess | None = None
        self._device = student.device
        self._trained = False
        self._weights: Path | None = None
        self.calls: TokenCalls | None = None
        self.model = ""
        """The server's name for the student."""
        self.room = asyncio.Semaphore(settings.batch_size)

    def session(self, decoding: Decoding) -> VllmSession:
        """No requests yet."""
        return VllmSession(self, decoding)

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample, in the order in which they are done."""
        return run_session(self.session(decoding), requests, progress)

    def run(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Begins `work` in the engine's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def start(self) -> None:
        """Starts the server unless it runs, and waits until it answers. Raises EngineError."""
        if self.calls is not None:
            return
        server = self.settings.server
        url = server.base_url
        if url is None:
            port = free_port()
            url = f"http://127.0.0.1:{port}/v1"
            self._process = self._started(port)
        if not self._thread.is_alive():
            self._thread.start()
        try:
            self.run(self._connect(url)).result()
        except BaseException:
            self.close()
            raise

    def renew(self) -> None:
        """From now on the server writes with the weights as they are now. The student stays on its
        card, of which the server gets a smaller share. Raises EngineError, and RecipeError for a
        server that runs already."""
        if self.settings.server.base_url is not None:
            raise RecipeError(
                f"{self.settings.server.base_url}: a server that runs already does not get the "
                "weights of a training. Leave the URL out: a server is started."
            )
        self._trained, old = True, self._weights
        if self.calls is None or old is None:  # its start takes the weights
            return
        self._weights = old.with_name(f"{SERVED_NAME}-{uuid4().hex[:8]}")
        save_served(self.student, self._weights, renewed=True)
        try:
            self.run(self.calls.load_weights(str(self._weights))).result()
        except EngineError as error:
            raise self._with_log(error) from None
        shutil.rmtree(old, ignore_errors=True)

    def _started(self, port: int) -> ServerProcess:
        """The server's process, given the weights. On a GPU it gets the student's card, whose
        memory the student leaves for as long as the engine is open, unless it is trained."""
        server, student = self.settings.server, self.student
        folder = Path(tempfile.mkdtemp(prefix="smallsteps-weights-"))
        self._weights = folder / SERVED_NAME
        try:
            save_served(student, self._weights, self._trained)
            words = server.words(
                {
                    "folder": str(self._weights),
                    "port": str(port),
                    "name": SERVED_NAME,
                    "dtype": dtype_name(student, self.settings),
                    "length": str(student.max_source_tokens or "auto"),
                    "memory": self._memory(),
                }
            )
            environment = server_environment()
            if self._trained:
                environment["VLLM_SERVER_DEV_MODE"] = "1"  # or it takes no new weights
            if self._device.type == "cuda":
                environment["CUDA_VISIBLE_DEVICES"] = visible_card(self._device.index or 0)
                if not self._trained:
                    student.model.to("cpu")
                torch.cuda.empty_cache()
            say(f"starting {words[0]} for {student.name}")
            return ServerProcess(words, folder, server.log, environment)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _memory(self) -> str:
        if self.settings.server.memory is not None:
            return f"{self.settings.server.memory:g}"
        if self._trained:
            return MEMORY_BESIDE_TRAINING
        return MEMORY_OF_HALF if _is_half(self.student) else MEMORY

    async def _connect(self, url: str) -> None:
        client = open_client(url)
        calls = TokenCalls(client, url, self.settings.server.timeout, self._check, say)
        try:
            self.model = await calls.model(self.settings.server.start_seconds)
        except EngineError as error:
            await client.aclose()
            raise self._with_log(error) from None
        self.calls = calls

    def _check(self) -> None:
        if self._process is not None:
            self._process.check()

    def _with_log(self, error: EngineError) -> EngineError:
        """The error with the last words of a server that runs and does not do as it should."""
        if self._process is None or "Its whole output" in str(error):
            return error
        self._process.failed()
        return EngineError(f"{error}; {self._process.program} says{self._process.last_lines()}")

    async def write(self, row: ReplyRow, decoding: Decoding) -> WrittenIds:
        """What the server writes for a row. Raises EngineError."""
        assert self.calls is not None, "the server was not started"
        async with self.room:
            try:
                body = body_of(row, decoding, self.model, self.student.max_source_tokens)
                return await self.calls.continuation(body)
            except EngineError as error:
                raise self._with_log(error) from None

    def close(self) -> None:
        """Ends the server, if it was started here."""
        if self._thread.is_alive():
            with suppress(Exception):
                self.run(self._end()).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()
        self.calls = None
        if self._process is not None:
            self._process.stop()
            self._process = None
            if self._device.type == "cuda" and not self._trained:
                self.student.model.to(self._device)

    async def _end(self) -> None:
        """Ends what is under way."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self.calls is not None:
            await self.calls.client.aclose()


class VllmSession:
    """Requests under way at a server. They are sent from the first step on."""

    def __init__(self, engine: VllmEngine, decoding: Decoding) -> None:
        self.engine, self.decoding = engine, decoding
        self._queue: list[ReplyRow] = []
        self._under_way = 0
        self._written: queue.SimpleQueue[tuple[ReplyRow, WrittenIds | BaseException]] = (
            queue.SimpleQueue()
        )

    def submit(self, request: Request) -> None:
        """Queues a request. Raises RecipeError where its log-probabilities cannot be had."""
        check_logprobs(request.decoding or self.decoding)
        self._queue += new_rows(request, self.engine.student, self.decoding)

    @property
    def idle(self) -> bool:
        return not self._queue and not self._under_way

    def step(self) -> list[Reply]:
        """Sends what is queued and waits for a reply; all that are done by then. Raises
        EngineError."""
        if self._queue:
            self.engine.start()
        for row in self._queue:
            self.engine.run(self._write(row))
        self._under_way += len(self._queue)
        self._queue = []
        replies: list[Reply] = []
        while self._under_way and (not replies or not self._written.empty()):
            row, written = self._written.get()
            self._under_way -= 1
            if isinstance(written, BaseException):
                raise written
            replies.append(reply_of(row, written, self.engine.student))
        return replies

    async def _write(self, row: ReplyRow) -> None:
        try:
            decoding = row.request.decoding or self.decoding
            self._written.put((row, await self.engine.write(row, decoding)))
        except BaseException as error:
            self._written.put((row, error))


def check_served(student: Student, settings: EngineSettings) -> None:
    """Raises StudentError or RecipeError where no server can write for the student."""
    if student.architecture != "causal":
        raise StudentError(
            f"{student.name}: engine vllm writes for causal students, and this is an "
            f"encoder-decoder ({student.model.config.model_type}). Use engine local."
        )
    if settings.dtype is not None and settings.dtype not in DTYPES:
        raise RecipeError(f"dtype {settings.dtype!r} is not known. Use bfloat16 or float32.")
    if settings.server.base_url is not None and _is_half(student):
        raise StudentError(
            f"{student.name}: one half of a dual-path pair, and {settings.server.base_url} serves "
            "one model. Leave the URL out: a server is started for each half."
        )
    settings.server.check_installed()


def dtype_name(student: Student, settings: EngineSettings) -> str:
    """As `vllm serve --dtype` knows it."""
    dtype = DTYPES[settings.dtype] if settings.dtype else student.dtype
    return str(dtype).removeprefix("torch.")


def server_environment() -> dict[str, str]:
    """The variables of this process without those of a launch by torchrun, to which the server does
    not belong."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in LAUNCH and not name.startswith("TORCHELASTIC_")
    }


def visible_card(index: int) -> str:
    """The card that this process calls `index`, as CUDA_VISIBLE_DEVICES names it."""
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[index] if index < len(named) else str(index)


def _is_half(student: Student) -> bool:
    return student.drive is not None and student.drive.role is not None


def say(line: str) -> None:
    """Tells the user."""
    print(line, file=sys.stderr, flush=True)
