"""Buys a list of replies once: many calls at a time, one shared pause, retries, and an end where
asking on is no use.

What becomes of a call:

    a completion           stored, whatever stands in it; one without text is given back with its reason
    429, 503, 529          all calls pause (`pauses.py`); does not count as an attempt
    no parameter of that   asked again as the server wants it (`parameters.py`)
    other 4xx, a refusal   the request is given back: asking again brings the same
    5xx, broken, too slow  asked again a bounded number of times, then given back
    no money, wrong key, wrong URL, no such model, a redirect     the job ends with one line

The first calls go out alone, so that a job that is wrong as a whole costs nothing. A server that
sends something else than completions, the same again and again, or that brings nothing for many
requests in a row, ends the job as well. When a job ends, calls under way are awaited, as they are
paid for."""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2

from smallsteps.errors import TeacherError
from smallsteps.generation.access import host_of
from smallsteps.generation.bodies import (
    NO_COMPLETION,
    Refusal,
    Unreadable,
    one_line,
    parsed,
    refusal_of,
)
from smallsteps.generation.budget import NOT_ASKED, Call, Exhausted
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.claims import Claims
from smallsteps.generation.generator import REFUSED, UNFINISHED
from smallsteps.generation.pauses import Pauses
from smallsteps.generation.post import Response, Unanswered, open_client, post, proxy_for

if TYPE_CHECKING:
    from smallsteps.generation.endpoint import Endpoint

SCOUTS = 3
"""Requests that may fail one after another before the job is given up; calls without a completion
likewise."""

SCOUT_ATTEMPTS = 2
"""Calls for the second and third of them: the first one has shown what trying again brings."""

BLIP = 5.0
"""Seconds for which a server that has answered may send something else than completions."""

QUIET = 10.0
"""Seconds between two messages about calls that fail."""

IN_VAIN = 10
"""Requests in a row that may bring nothing once the server has answered, where as many would still
be asked."""

LONGEST_REST = 60.0
"""Seconds between two attempts for one reply, half as much again at most."""

FAILED_BODY = 65_536
"""Bytes of an error's body that are kept for people to read."""

AGAIN = "again"
"""Of a call that does not count: asked again as soon as the server takes it."""

Outcome = tuple[ChatRequest, str | None]
"""(what was asked, why no reply is stored; None: it is)"""


class Buyer:
    """Lives in the event loop of its thread."""

    def __init__(
        self, endpoint: Endpoint, tell: Callable[[Outcome | BaseException | None], None]
    ) -> None:
        self.endpoint, self.settings, self.tell = endpoint, endpoint.settings, tell
        self.budget, self.store = endpoint.budget, endpoint.store
        self.claims = Claims(endpoint.store.claims, endpoint.say)
        self.stopped: str | None = None
        self.pauses = Pauses(self.endpoint.base_url, self.settings.patience, endpoint.say)
        self._queue = asyncio.Lock()
        self._heard = False
        """Whether the server has sent any response."""
        self._served = False
        """Whether it has sent a completion."""
        self._in_vain = 0
        """Requests in a row that brought nothing."""
        self._same: tuple[str, int, float] = ("", 0, 0.0)
        """The last body that was no completion, how often it came in a row, and since when
        (monotonic seconds)."""
        self._said_at = -math.inf
        """Monotonic seconds of the last message about a failed call."""
        self._attempts = self.settings.attempts
        """Calls for one reply; fewer while no request at all has been answered."""
        self._waiting = 0
        """Requests that nobody has taken up yet, now or in an earlier run."""
        self._failed_before: set[str] = set()
        """Keys of requests that brought nothing in earlier runs."""
        self._error: TeacherError | None = None
        """What ends the job."""
        self._workers: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Any] | None] = set()
        """Workers with a call under way."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def run(self, chat_requests: Sequence[ChatRequest]) -> None:
        """Tells every outcome, then None; or the error that ended the job."""
        try:
            asyncio.run(self._all(chat_requests))
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as errors:
            self.tell(errors.exceptions[0])
        except BaseException as error:
            self.tell(error)
        self.tell(None)

    def cancel(self) -> None:
        """Ends what is under way; from another thread."""
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed: all is done
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _all(self, chat_requests: Sequence[ChatRequest]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        # requests that failed before come last: what they bring says less about the server
        self._failed_before = {
            chat_request.key
            for chat_request in chat_requests
            if self.store.failures(chat_request.key)
        }
        self._waiting = len(chat_requests) - len(self._failed_before)
        rest = iter(
            sorted(chat_requests, key=lambda chat_request: chat_request.key in self._failed_before)
        )
        async with self.claims.renewed(), open_client(self.endpoint.base_url) as client:
            await self._scouts(client, rest)
            self._attempts = self.settings.attempts
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.concurrency, len(chat_requests))):
                    self._workers.add(group.create_task(self._work(client, rest)))
            if self._error:
                raise self._error

    async def _work(self, client: httpx2.AsyncClient, rest: Iterator[ChatRequest]) -> None:
        for chat_request in rest:
            try:
                self.tell(await self._one(client, chat_request))
            except TeacherError as error:
                self._end(error)
            if self._error:
                return

    def _end(self, error: TeacherError) -> None:
        """Ends the job once the calls under way have come back."""
        if self._error:
            return
        self._error = error
        for worker in self._workers - self._sending - {asyncio.current_task()}:
            worker.cancel()
        if self._sending:
            self.endpoint.say(
                f"the job ends; waiting for {len(self._sending)} calls under way, which are paid for"
            )

    async def _scouts(self, client: httpx2.AsyncClient, rest: Iterator[ChatRequest]) -> None:
        """The first calls, one at a time, until the server has sent a completion."""
        failed = []
        for chat_request in rest:
            outcome = await self._one(client, chat_request)
            self.tell(outcome)
            if self._served or self.stopped or outcome[1] is None:
                return
            failed.append(outcome[1])
            self._attempts = min(self._attempts, SCOUT_ATTEMPTS)
            if len(failed) == SCOUTS:
                if self.endpoint.proven:
                    return
                raise TeacherError(
                    f"{self.endpoint.base_url} refuses every request for model {self.endpoint.model!r}, first of all: "
                    f"{failed[0]}. Correct the model's name or the request."
                    if failed[0].startswith(REFUSED)
                    else f"{self.endpoint.base_url} answers none of the first {SCOUTS} requests: {failed[0]}. "
                    f"{_advice(failed[0])}"
                )

    async def _one(self, client: httpx2.AsyncClient, chat_request: ChatRequest) -> Outcome:
        """One reply, bought unless another process buys it first."""
        self._waiting -= chat_request.key not in self._failed_before
        if reason := self.stopped or self.endpoint.given_up.get(chat_request.key):
            return chat_request, reason
        async with self.claims.claimed(chat_request.key):
            if self.store.get(chat_request.key) is not None:
                return chat_request, None
            reason = await self._buy(client, chat_request)
        if reason and self._error:
            raise self._error
        if reason and reason != self.stopped:
            self.endpoint.given_up[chat_request.key] = reason
            self._count_in_vain(reason)
        return chat_request, reason or None

    def _count_in_vain(self, reason: str) -> None:
        """Notes a request that brought nothing, whatever the server sent for it."""
        self._in_vain += 1
        if self._in_vain >= IN_VAIN and self._waiting >= IN_VAIN and not reason.startswith(REFUSED):
            raise TeacherError(
                f"{self.endpoint.base_url}: {self._in_vain} requests in a row brought no reply, the last one: {reason}. "
                f"What came before is stored. {_advice(reason)}"
            )

    # calls

    async def _reserve(self, chat_request: ChatRequest) -> Call:
        """The call, noted as sent, once the limits have room for it. Raises Exhausted."""
        async with (
            self._queue
        ):  # only the first in line looks whether calls under way have left room
            while (call := self.budget.reserve(chat_request, self.claims.owner)) is None:
                await asyncio.sleep(0.05)
        return call

    async def _buy(self, client: httpx2.AsyncClient, chat_request: ChatRequest) -> str:
        """ "": the reply is stored; else why there is none."""
        chance = random.Random(chat_request.key)
        failed = 0
        while True:
            async with self.pauses.passed():
                try:
                    call = await self._reserve(chat_request)
                except Exhausted as limit:
                    self.stopped = f"{NOT_ASKED}: {limit}"
                    return self.stopped
                reason = await self._call(client, call)
            if not reason:
                self._in_vain = 0
                return ""
            if self._error:
                return reason
            if reason == AGAIN:
                continue
            failed += 1
            if reason.startswith(REFUSED) or failed >= self._attempts:
                return f"{reason}, {failed} calls" if failed > 1 else reason
            self._say_that_it_fails(reason, failed)
            await asyncio.sleep(min(LONGEST_REST, 0.25 * 2**failed) * chance.uniform(0.5, 1.5))

    def _say_that_it_fails(self, reason: str, failed: int) -> None:
        now = time.monotonic()
        if now - self._said_at >= QUIET:
            self._said_at = now
            self.endpoint.say(
                f"{self.endpoint.base_url}: {reason}; asked again (call {failed + 1} of {self._attempts})"
            )

    async def _call(self, client: httpx2.AsyncClient, call: Call) -> str:
        """ "": the reply is stored; else why there is none. Raises TeacherError where asking on
        makes no sense."""
        settings, endpoint = self.settings, self.endpoint
        sent = endpoint.dialect.body(call.chat_request)
        url = endpoint.base_url.rstrip("/") + "/chat/completions"
        task = asyncio.current_task()
        self._sending.add(task)
        try:
            response = await post(client, url, endpoint.key(), sent, settings.timeout)
        except Unanswered as error:
            reason = endpoint.clean(error)
            self.budget.failed(call, reason, tokens=(0, 0) if error.unheard else None)
            if error.unheard and not self._heard:
                variable, proxy = proxy_for(endpoint.base_url)
                through = f" through the proxy of {variable}" if proxy else ""
                what, advice = (
                    "nobody answers there",
                    "Start the server, or correct --base-url (OPENAI_BASE_URL).",
                )
                if "SSL" in reason:
                    what = "no safe connection"
                    advice = "SSL_CERT_FILE names further certificates to trust; a server without any wants http://."
                raise TeacherError(
                    f"cannot connect to {endpoint.base_url}{through}, {what}: {reason}. {advice}"
                ) from None
            return reason
        finally:
            self._sending.discard(task)
        self._heard = True
        if 200 <= response.status < 300:
            reason, refusal = self._take(call, response)
            status = refusal.status
        else:
            refusal, status = self._refusal(response), response.status
            if not refusal.words:
                refusal = replace(refusal, words=_phrase(status))
            reason = f"status {status}: {refusal.words}"
            self.budget.failed(call, reason, self._text(response)[:FAILED_BODY])
        if reason:
            reason = self._judge(status, reason, refusal, response, call, sent)
        if reason != AGAIN:
            self.pauses.accepted()
        return reason

    def _take(self, call: Call, response: Response) -> tuple[str, Refusal]:
        """Stores what came with a good status; why it is no answer, and what the server says in its
        place."""
        body = self.endpoint.without_key(response.body)
        if response.broken:
            try:
                parsed(body.decode(errors="replace"))
            except Unreadable:
                self.budget.failed(
                    call, response.broken, body[:FAILED_BODY].decode(errors="replace"), tokens=None
                )
                return response.broken, Refusal("")
        reason = self.endpoint.clean(self.budget.received(call, body))
        if not reason or reason.startswith(UNFINISHED):
            # the server writes; a completion without text says nothing yet: it may be all that it
            # sends
            self._served = self.endpoint.proven = True
            self._same = ("", 0, 0.0)
            return reason, Refusal("")
        return reason, self._refusal(response) if reason.startswith(NO_COMPLETION) else Refusal("")

    def _refusal(self, response: Response) -> Refusal:
        return refusal_of(self._text(response))

    def _text(self, response: Response) -> str:
        return self.endpoint.without_key(response.body).decode(errors="replace")

    def _judge(
        self,
        status: int | None,
        reason: str,
        refusal: Refusal,
        response: Response,
        call: Call,
        sent: dict[str, Any],
    ) -> str:
        """What follows from a call without an answer: the reason as it is given back, or AGAIN.

        Raises TeacherError where the job cannot go on.
        """
        url, model, words = self.endpoint.base_url, self.endpoint.model, refusal.words or reason
        if status == 402 or (refusal.quota and (status is None or status < 500)):
            raise TeacherError(
                f"{url} refuses for want of money: {words}. Top up the account, then run the same command again; what is "
                "stored is not bought again."
            )
        if status is None:
            return self._no_completion(reason)
        if 300 <= status < 400:
            there = host_of(response.headers.get("location", "")) or "elsewhere"
            raise TeacherError(
                f"{url} sends on to {one_line(there)} (status {status}); nothing was sent there. Correct --base-url "
                "(OPENAI_BASE_URL) if that is the right place."
            )
        if status in (429, 503, 529):
            self.pauses.refused(status, refusal.words, response.headers)
            return AGAIN
        if status == 401 or (status == 403 and not self.endpoint.proven):
            what = "refuses the key" if self.endpoint.key() else "wants a key"
            raise TeacherError(f"{url} {what}: {words}. Set OPENAI_API_KEY.")
        if status in (404, 405, 410):
            raise TeacherError(
                f"{url} knows no model {model!r}, or no chat there: {words}. Correct the model's name or --base-url (it "
                "ends in /v1 with most servers)."
            )
        if status >= 500 or status in (408, 409, 425):
            return reason
        dialect = self.endpoint.dialect
        if status in (400, 422):
            if dialect.body(call.chat_request) != sent:
                return AGAIN  # another call has learnt it meanwhile
            if learnt := dialect.learn(refusal, sent):
                self.endpoint.say(f"{model} at {url} {learnt}")
                return AGAIN
        return f"{REFUSED} {status}: {words}" if status >= 400 else reason

    def _no_completion(self, reason: str) -> str:
        """Counts bodies of a good status that were no completions; the same one a few times ends
        the job."""
        if not reason.startswith(NO_COMPLETION):
            return reason
        kind = re.sub(r"[0-9a-f]{6,}|[0-9]+", "#", reason)
        now = time.monotonic()
        last, times, since = self._same
        times, since = (times + 1, since) if kind == last else (1, now)
        self._same = (kind, times, since)
        lasting = self._waiting >= IN_VAIN and now - since >= BLIP
        if times >= SCOUTS and (lasting or not self.endpoint.proven):
            raise TeacherError(
                f"{self.endpoint.base_url} sent, {times} times in a row, {reason}. Correct the model's name or --base-url "
                "(it ends in /v1 with most servers), or look at the server."
            )
        return reason


def _advice(reason: str) -> str:
    """What to do about a server that does not answer."""
    slow = " Or allow more time (--timeout)." if "within" in reason.split(":")[0] else ""
    return f"Look at the server, then run the same command again.{slow}"


def _phrase(status: int) -> str:
    """What a status means."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no words"
