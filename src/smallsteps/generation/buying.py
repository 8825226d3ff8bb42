"""Buys a list of replies once: many calls at a time, one shared pause, retries, and an end where
asking on is no use (`diagnosis.py`).

The first calls go out alone, so that a job that is wrong as a whole costs nothing. When a job ends,
calls under way are awaited, as they are paid for."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import httpx2

from smallsteps.errors import TeacherError
from smallsteps.generation.budget import NOT_ASKED, Budget, Call, Exhausted
from smallsteps.generation.calling import Caller
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.claims import Claims
from smallsteps.generation.diagnosis import AGAIN, Diagnosis, advice
from smallsteps.generation.generator import REFUSED
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.pauses import Pauses
from smallsteps.generation.post import open_client

SCOUTS = 3
"""Requests that may fail one after another before the job is given up."""

SCOUT_ATTEMPTS = 2
"""Calls for the second and third of them: the first one has shown what retrying brings."""

QUIET = 10.0
"""Seconds between two messages about calls that fail."""

LONGEST_REST = 60.0
"""Seconds between two attempts for one reply; half as much again at most."""

Outcome = tuple[ChatRequest, str | None]
"""(the request, why no reply is stored; None: it is stored)"""


class Buyer:
    """One job. Runs in an event loop of its own, in a thread of its own.

    `report` receives each outcome, at last None; or the error that ended the job, then None."""

    def __init__(
        self,
        server: ModelServer,
        budget: Budget,
        report: Callable[[Outcome | BaseException | None], None],
    ) -> None:
        self.server, self.budget, self.report = server, budget, report
        self.claims = Claims(budget.store.claims, server.say)
        self.pauses = Pauses(server.base_url, server.settings.patience, server.say)
        self.diagnosis = Diagnosis(server, self.pauses)
        self.caller = Caller(server, budget, self.diagnosis)
        self.stopped: str | None = None
        """Why the rest is not asked (a limit); None: there is no reason."""
        self._budget_queue = asyncio.Lock()
        self._reported_at = -math.inf
        """Monotonic seconds of the last message about a failed call."""
        self._attempts = server.settings.attempts
        """Calls for one reply; fewer while no request at all has been answered."""
        self._failed_before: set[str] = set()
        """Keys of requests that brought nothing in earlier runs."""
        self._error: TeacherError | None = None
        """What ends the job."""
        self._workers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def run(self, requests: Sequence[ChatRequest]) -> None:
        """Buys all `requests`; returns once everything is reported."""
        try:
            asyncio.run(self._buy_all(requests))
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as errors:
            self.report(errors.exceptions[0])
        except BaseException as error:
            self.report(error)
        self.report(None)

    def cancel(self) -> None:
        """Ends what is under way; called from another thread."""
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed: all is done
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _buy_all(self, requests: Sequence[ChatRequest]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        store, settings = self.budget.store, self.server.settings
        # requests that failed before come last: what they bring says less about the server
        self._failed_before = {request.key for request in requests if store.failures(request.key)}
        self.diagnosis.waiting = len(requests) - len(self._failed_before)
        queue = iter(sorted(requests, key=lambda request: request.key in self._failed_before))
        async with self.claims.renewed(), open_client(self.server.base_url) as client:
            await self._scout(client, queue)
            self._attempts = settings.attempts
            async with asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency, len(requests))):
                    self._workers.add(group.create_task(self._work(client, queue)))
            if self._error:
                raise self._error

    async def _work(self, client: httpx2.AsyncClient, queue: Iterator[ChatRequest]) -> None:
        """Buys requests of the queue until it is empty or the job ends."""
        for request in queue:
            try:
                self.report(await self._buy(client, request))
            except TeacherError as error:
                self._end(error)
            if self._error:
                return

    def _end(self, error: TeacherError) -> None:
        """Ends the job once the calls under way have come back."""
        if self._error:
            return
        self._error = error
        sending = self.caller.sending
        for worker in self._workers - sending - {asyncio.current_task()}:
            worker.cancel()
        if sending:
            self.server.say(
                f"the job ends; waiting for {len(sending)} calls under way, which are paid for"
            )

    async def _scout(self, client: httpx2.AsyncClient, queue: Iterator[ChatRequest]) -> None:
        """Buys the first requests one at a time, until the server has sent a completion. Raises
        TeacherError where SCOUTS of them fail."""
        failures: list[str] = []
        for request in queue:
            _, reason = outcome = await self._buy(client, request)
            self.report(outcome)
            if self.caller.completed or self.stopped or reason is None:
                return
            failures.append(reason)
            self._attempts = min(self._attempts, SCOUT_ATTEMPTS)
            if len(failures) == SCOUTS:
                if not self.server.proven:
                    raise self._nothing_works(failures[0])
                return

    def _nothing_works(self, reason: str) -> TeacherError:
        """The error that ends a job whose first requests all failed."""
        url = self.server.base_url
        if reason.startswith(REFUSED):
            return TeacherError(
                f"{url} refuses every request for model {self.server.model!r}, first of all: "
                f"{reason}. Correct the model's name or the request."
            )
        return TeacherError(
            f"{url} answers none of the first {SCOUTS} requests: {reason}. {advice(reason)}"
        )

    async def _buy(self, client: httpx2.AsyncClient, request: ChatRequest) -> Outcome:
        """Buys one reply, unless another process buys it first."""
        self.diagnosis.waiting -= request.key not in self._failed_before
        if reason := self.stopped or self.server.given_up.get(request.key):
            return request, reason
        async with self.claims.claimed(request.key):
            if self.budget.store.get(request.key) is not None:
                return request, None
            reason = await self._attempt(client, request)
        if reason and self._error:
            raise self._error
        if reason and reason != self.stopped:
            self.server.given_up[request.key] = reason
            self.diagnosis.request_given_up(reason)
        return request, reason or None

    async def _attempt(self, client: httpx2.AsyncClient, request: ChatRequest) -> str:
        """Calls until a reply is stored (""), or returns why there is none."""
        chance = random.Random(request.key)
        failed = 0
        while True:
            async with self.pauses.passed():
                try:
                    call = await self._reserve(request)
                except Exhausted as limit:
                    self.stopped = f"{NOT_ASKED}: {limit}"
                    return self.stopped
                reason = await self.caller.call(client, call)
            if not reason:
                self.diagnosis.request_answered()
                return ""
            if self._error:
                return reason
            if reason == AGAIN:
                continue
            failed += 1
            if reason.startswith(REFUSED) or failed >= self._attempts:
                return f"{reason}, {failed} calls" if failed > 1 else reason
            self._report_failure(reason, failed)
            await asyncio.sleep(min(LONGEST_REST, 0.25 * 2**failed) * chance.uniform(0.5, 1.5))

    async def _reserve(self, request: ChatRequest) -> Call:
        """The call, noted as sent, once the limits have room for it. Raises Exhausted."""
        # only the first in line looks whether calls under way have left room
        async with self._budget_queue:
            while (call := self.budget.reserve(request, self.claims.owner)) is None:
                await asyncio.sleep(0.05)
        return call

    def _report_failure(self, reason: str, failed: int) -> None:
        """Tells the user of a call that failed, unless one was told lately."""
        now = time.monotonic()
        if now - self._reported_at >= QUIET:
            self._reported_at = now
            self.server.say(
                f"{self.server.base_url}: {reason}; asked again "
                f"(call {failed + 1} of {self._attempts})"
            )
