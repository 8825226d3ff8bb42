"""The one thread that owns all engines. Requests of all clients share its steps.

The other threads hand it choices and get events back through the choices' own `emit`. Choices wait
here, in order of arrival, until an engine has room; those that nobody waits for any more are
dropped before they cost anything."""

from __future__ import annotations

import itertools
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from smallsteps.errors import DeviceError, DeviceMemoryError
from smallsteps.faults import faults_named
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, Reply, Request, Session
from smallsteps.records import Kind
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.reply_choice import Failure, ReplyChoice
from smallsteps.serving.served_student import ServedStudent

T = TypeVar("T")

STOPPING = "The server is stopping."
FULL = (
    "The GPU of the server has too little memory for so many replies at once. Try again, or start "
    "the server with a smaller --batch-size."
)
BROKEN = "The GPU of the server has failed. Start the server again."


@dataclass(frozen=True)
class Load:
    """How busy the server is."""

    running: int
    """Choices that are being written."""
    waiting: int
    """Choices that wait for room in a batch."""


class Lane:
    """The choices of one student: those that wait, and those in its engines."""

    def __init__(self, served: ServedStudent) -> None:
        self.served = served
        self.waiting: deque[ReplyChoice] = deque()
        self.running: dict[str, tuple[ReplyChoice, str]] = {}
        """Id of a request in an engine → (its choice, its own id)."""
        self._numbers = itertools.count()
        self._sessions: Mapping[Kind, Session] = {}
        self.open()

    def open(self) -> None:
        """Fresh engines."""
        settings = self.served.engine_settings
        self._sessions = {
            kind: open_engine(half, settings).session(Decoding())
            for kind, half in self.served.halves.items()
        }

    def step(self) -> None:
        """Lets waiting choices enter, and writes on."""
        if any(choice.cancelled for choice in self.waiting):
            self.waiting = deque(choice for choice in self.waiting if not choice.cancelled)
        while self.waiting and len(self.running) < self.served.batch_size:
            choice = self.waiting.popleft()
            if request := choice.first():
                self._submit(choice, request)
        for session in self._sessions.values():
            if not session.idle:
                for reply in session.step():
                    self._take(reply)

    def _submit(self, choice: ReplyChoice, request: Request) -> None:
        """Hands a request to its engine, under an id that no other client's request has."""
        id = f"{next(self._numbers)}"
        self.running[id] = (choice, request.id)
        self._sessions[choice.writer_kind].submit(replace(request, id=id, draws_as=request.id))

    def _take(self, reply: Reply) -> None:
        choice, id = self.running.pop(reply.id)
        if request := choice.following(replace(reply, id=id)):
            self._submit(choice, request)

    def fail(self, error: ApiError) -> None:
        """Ends all choices with an error."""
        choices = [choice for choice, _ in self.running.values()]
        self.running.clear()
        choices += self.waiting
        self.waiting.clear()
        for choice in choices:
            choice.emit(Failure(choice.number, error))


class Worker:
    """Starts with `start`, ends with `stop`. Methods may be called from any thread."""

    def __init__(
        self,
        students: Sequence[ServedStudent],
        queue_limit: int = 256,
        log: Callable[[str], None] = print,
    ) -> None:
        self.queue_limit, self._log = queue_limit, log
        self._lanes = {served.id: Lane(served) for served in students}
        self._arrivals: list[tuple[Lane, Sequence[ReplyChoice]]] = []
        self._calls: deque[tuple[Callable[[], Any], Future]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._refusal = STOPPING
        """Why nothing is answered any more."""
        self._load = Load(0, 0)
        self._thread = threading.Thread(target=self._run, name="engines", daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ends at the next step; choices under way fail. Returns once the thread is over."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    @property
    def is_broken(self) -> bool:
        """Whether the GPU has failed, so that nothing is answered any more."""
        return self._refusal is BROKEN

    def submit(self, model: str, choices: Sequence[ReplyChoice]) -> None:
        """Queues the choices of one request. Raises ApiError with 429 where the queue is full."""
        with self._changed:
            if self._stopping:
                raise ApiError(503, self._refusal)
            waiting = self._load.waiting + sum(len(group) for _, group in self._arrivals)
            room = max(0, self._lanes[model].served.batch_size - self._load.running)
            if waiting + len(choices) > self.queue_limit + room:
                raise ApiError(
                    429,
                    f"The queue is full: {waiting} replies wait, {self.queue_limit} may. "
                    "Try again later.",
                    code="queue_full",
                )
            self._arrivals.append((self._lanes[model], choices))
            self._changed.notify()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Runs a function that uses a student's model, between two steps."""
        future: Future[T] = Future()
        with self._changed:
            if self._stopping:
                raise ApiError(503, self._refusal)
            self._calls.append((function, future))
            self._changed.notify()
        return future

    @property
    def load(self) -> Load:
        """How busy it is now."""
        with self._changed:
            arrived = sum(len(choices) for _, choices in self._arrivals)
            return Load(self._load.running, self._load.waiting + arrived)

    def _run(self) -> None:
        while self._wait_for_work():
            for lane in self._lanes.values():
                try:
                    with faults_named():
                        lane.step()
                except DeviceError as error:
                    self._break(error)
                    break
                except DeviceMemoryError as error:
                    self._log(str(error))
                    lane.fail(ApiError(503, FULL))
                    lane.open()
                except Exception as error:  # one bad step must not end the server
                    self._log(_where(error))
                    lane.fail(ApiError(500, "The student failed. The server's log says where."))
                    lane.open()
            while self._calls:
                function, future = self._calls.popleft()
                try:
                    with faults_named():
                        future.set_result(function())
                except DeviceError as error:
                    self._break(error)
                    future.set_exception(ApiError(503, self._refusal))
                except DeviceMemoryError:
                    future.set_exception(ApiError(503, FULL))
                except Exception as error:
                    future.set_exception(error)
        for lane in self._lanes.values():
            lane.fail(ApiError(503, self._refusal))
        for _, future in self._calls:
            future.set_exception(ApiError(503, self._refusal))

    def _break(self, error: DeviceError) -> None:
        """Answers nothing any more: no later step of this process can use the device."""
        self._log(str(error))
        with self._changed:
            self._stopping, self._refusal = True, BROKEN

    def _wait_for_work(self) -> bool:
        """Takes what has arrived; sleeps where there is nothing to do. False: it is to stop."""
        lanes = self._lanes.values()
        with self._changed:
            while True:
                for lane, choices in self._arrivals:
                    lane.waiting.extend(choices)
                self._arrivals.clear()
                self._load = Load(
                    sum(len(lane.running) for lane in lanes),
                    sum(len(lane.waiting) for lane in lanes),
                )
                if self._stopping:
                    return False
                if self._load.running or self._load.waiting or self._calls:
                    return True
                self._changed.wait()


def _where(error: Exception) -> str:
    """What went wrong and where, without any text of a client."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.filename}:{frame.lineno} ({frame.name})"
