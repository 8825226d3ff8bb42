"""A `Generator` behind any OpenAI-compatible URL (hosted, vLLM, llama.cpp, `transformers serve`).

Every reply comes out of the store of paid replies; what is not there is bought, by many calls at once:

- One call buys one sample, as not every server knows `n`.
- A reply is stored raw, then read. An empty one is a failure, never an answer; where a server puts the text into
  `reasoning_content` or `reasoning` and leaves `content` empty, that text is the reply.
- 429 and 503 stop all calls for as long as `Retry-After` says (or for a growing while), not only the one that was told.
  500s, cut connections, timeouts, broken bodies and empty replies are tried again a bounded number of times, and then the
  request is given back as failed with its reason; the others go on.
- A wrong URL, key or model ends the job with one line. The first call goes out alone, so that this costs nothing.
- Where a limit of the budget is reached, calls under way are awaited and stored, and the requests left come back failed.

The client's own retries are off. The key goes to the server and nowhere else.
"""

from __future__ import annotations

import asyncio
import math
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from smallsteps.errors import DataError, InternalError, RecipeError, TeacherError
from smallsteps.generation.budget import NOT_ASKED, Budget, Call, Exhausted
from smallsteps.generation.completion import Thinking, check_thinking, reply_of, stored_answer, whole_characters
from smallsteps.generation.generator import REFUSED, Decoding, Reply, Request
from smallsteps.generation.replies import LEASE_SECONDS, Ask, Holder, new_owner

SCOUTS = 3
"""Requests that may be refused for good, one after another, before the job is given up."""

LONGEST_PAUSE = 60.0
"""Seconds; of the pauses that we choose ourselves."""


@dataclass(frozen=True)
class EndpointSettings:
    """Where to ask, whom, and how hard."""

    model: str
    base_url: str
    concurrency: int = 32
    """Calls under way at once."""
    timeout: float = 120.0
    """Seconds for one call."""
    attempts: int = 5
    """Calls for one reply before it is given up; those that a busy server refused (429, 503) do not count."""
    patience: float = 900.0
    """Seconds for which a server may refuse every call before the job ends."""
    thinking: Thinking = "drop"
    """What of a reply with a thought is the reply; replies are stored whole."""

    def __post_init__(self) -> None:
        check_thinking(self.thinking)
        for name, ok, want in (
            ("concurrency", 1 <= self.concurrency <= 4096, "1 to 4,096"),
            ("timeout", 0 < self.timeout < math.inf, "above 0 seconds, and finite"),
            ("attempts", 1 <= self.attempts <= 1000, "1 to 1,000"),
            ("patience", 0 <= self.patience < math.inf, "0 seconds or more, and finite"),
        ):
            if not ok:
                raise RecipeError(f"endpoint: {name} is {getattr(self, name)}, expected {want}.")


def samples_of(request: Request) -> range:
    return range(request.first_sample, request.first_sample + request.samples)


def to_ask(base_url: str, model: str, request: Request, decoding: Decoding, sample: int) -> Ask:
    """One sample of a request as the store knows it."""
    prompt: Any = request.prompt
    if not isinstance(prompt, str) and not all(isinstance(part, tuple) for part in prompt):
        raise InternalError(f"{request.id}: a chat model reads text or messages, got ids")
    messages = (("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
    for _, content in messages:
        if whole_characters(content) != content:
            raise DataError(f"{request.id}: the prompt holds half a character (a lone surrogate). Correct the row.")
    parameters: dict[str, Any] = {
        "max_tokens": request.max_new_tokens or decoding.max_new_tokens,
        "temperature": decoding.temperature,
    }
    if decoding.top_p < 1:
        parameters["top_p"] = decoding.top_p
    if decoding.top_k:
        parameters["top_k"] = decoding.top_k  # no part of OpenAI's interface; vLLM, llama.cpp and transformers know it
    if decoding.temperature:
        parameters["seed"] = decoding.seed + sample  # one for each sample, as far as the server heeds it
    return Ask(base_url, model, messages, tuple(sorted(parameters.items())), sample)


class Endpoint:
    """Asks one model at one URL. No environment is read here: the caller hands over the key."""

    def __init__(
        self,
        settings: EndpointSettings,
        budget: Budget,
        key: str | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Without a key stored replies are given and nothing is bought. `say` gets a line where it waits; default: stderr."""
        self.settings, self.budget, self.store, self._key = settings, budget, budget.store, key
        self.say = say or (lambda line: print(line, file=sys.stderr))
        self.stopped: str | None = None
        """Why the rest was not asked (a limit), None while there is no reason."""
        self.given_up: dict[str, str] = {}
        """Key → why it brought no answer, for as long as this object lives: a new run asks again."""

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """What buying these may take, in a line. Raises RecipeError where something is to be bought and there is no key."""
        asks = [ask for _, _, ask in self._asks(requests, decoding)]
        new = self.budget.missing(asks)
        if new:
            self._check_key()
        return self.budget.forecast(len(asks), new)

    def _check_key(self) -> str:
        if self._key is None:
            raise RecipeError(f"no key for {self.settings.base_url}: set the environment variable OPENAI_API_KEY.")
        return self._key

    def _asks(self, requests: Iterable[Request], decoding: Decoding) -> Iterator[tuple[str, int, Ask]]:
        for request in requests:
            for sample in samples_of(request):
                ask = to_ask(self.settings.base_url, self.settings.model, request, decoding, sample)
                yield request.id, sample, ask

    def generate(
        self, requests: Iterable[Request], decoding: Decoding, progress: Callable[[int], None] | None = None
    ) -> Iterator[Reply]:
        """One reply for each request and sample: stored ones first, the others as they come in."""
        wanted: dict[str, Wanted] = {}
        done = 0
        for id, sample, ask in self._asks(requests, decoding):
            if (stored := stored_answer(self.store, ask)) is None:
                wanted.setdefault(ask.key, Wanted(ask, [])).places.append((id, sample))
                continue
            done += 1
            if progress:
                progress(done)
            yield reply_of(id, sample, ask, *stored, self.settings.thinking)
        for ask, reason in self._bought([one.ask for one in wanted.values()]):
            bought = stored_answer(self.store, ask) if reason is None else None
            for place in wanted[ask.key].places:
                done += 1
                if progress:
                    progress(done)
                if bought is None:
                    yield Reply(*place, (), "", "failed", 0, error=reason or "unreadable reply")
                else:
                    yield reply_of(*place, ask, *bought, self.settings.thinking)

    def _bought(self, asks: list[Ask]) -> Iterator[Outcome]:
        """Outcomes as they come in, from an event loop in a thread of its own."""
        if not asks:
            return
        self._check_key()
        outcomes: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        buyer = Buyer(self, outcomes.put)
        thread = threading.Thread(target=buyer.run, args=(asks,), name="endpoint", daemon=True)
        thread.start()
        try:
            while (outcome := outcomes.get()) is not None:
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            buyer.cancel()
            thread.join()
        self.stopped = buyer.stopped

    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            api_key=self._check_key(), base_url=self.settings.base_url, max_retries=0, timeout=self.settings.timeout
        )

    def clean(self, words: object) -> str:
        """What a server says, in one line and without the key, which some servers repeat."""
        return " ".join(str(words).replace(self._check_key(), "[key]").split())[:300]


@dataclass(frozen=True)
class Wanted:
    """A request that is not stored, and who waits for it: (request id, sample)."""

    ask: Ask
    places: list[tuple[str, int]]


Outcome = tuple[Ask, str | None]
"""(what was asked, why no reply is stored; None: it is)"""


class Buyer:
    """Buys a list of replies once: workers, one shared cool-down, retries. Lives in its thread's event loop."""

    def __init__(self, endpoint: Endpoint, tell: Callable[[Outcome | BaseException | None], None]) -> None:
        self.endpoint, self.settings, self.tell = endpoint, endpoint.settings, tell
        self.budget, self.store = endpoint.budget, endpoint.store
        self.owner = new_owner()
        self._waited_for: set[str] = set()
        """Owners of claims of whom the user was told."""
        self._queue = asyncio.Lock()
        self.stopped: str | None = None
        self._open_at = 0.0
        """Monotonic seconds at which calls may be sent again."""
        self._pause = 0.5
        self._heard_at = time.monotonic()
        """When the server last did not refuse."""
        self._any = False
        """Whether any reply has come."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def run(self, asks: Sequence[Ask]) -> None:
        """Tells every outcome, then None; or the error that ended the job."""
        try:
            asyncio.run(self._all(asks))
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

    async def _all(self, asks: Sequence[Ask]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        rest = iter(asks)

        async def work() -> None:
            for ask in rest:
                self.tell(await self._one(client, ask))

        signs_of_life = asyncio.create_task(self._renew())
        try:
            async with self.endpoint.client() as client:
                await self._scouts(client, rest)
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.settings.concurrency, len(asks))):
                        group.create_task(work())
        finally:
            signs_of_life.cancel()

    async def _scouts(self, client: openai.AsyncOpenAI, rest: Iterator[Ask]) -> None:
        """The first calls, one at a time, until the server accepts one: a job that is wrong as a whole costs nothing."""
        refused = []
        for ask in rest:
            outcome = await self._one(client, ask)
            self.tell(outcome)
            reason = outcome[1] or ""
            if not reason.startswith(REFUSED):
                return
            refused.append(reason)
            if len(refused) == SCOUTS:
                raise TeacherError(
                    f"{self.settings.base_url} refuses every request for model {self.settings.model!r}, first of all: "
                    f"{refused[0]}. Correct the model's name or the request."
                )

    async def _one(self, client: openai.AsyncOpenAI, ask: Ask) -> Outcome:
        """One reply, bought unless another process buys it first."""
        if reason := self.stopped or self.endpoint.given_up.get(ask.key):
            return ask, reason
        await self._claim(ask.key)
        try:
            if self.store.get(ask.key) is not None:
                return ask, None
            reason = await self._buy(client, ask)
        finally:
            self.store.release(ask.key, self.owner)
        if reason and reason != self.stopped:
            self.endpoint.given_up[ask.key] = reason
        return ask, reason or None

    async def _claim(self, key: str) -> None:
        """Waits until nobody else asks `key`. A claim that is not renewed for a whole lease is void: its owner is gone."""
        seen, since = None, time.monotonic()
        while not self.store.claim(key, self.owner, LEASE_SECONDS):
            holder = self.store.holder(key)
            if holder != seen:
                seen, since = holder, time.monotonic()
            if holder and time.monotonic() - since > LEASE_SECONDS:
                self.store.void(key, holder)
            elif holder:
                self._say_that_it_waits(holder)
            await asyncio.sleep(0.2)

    def _say_that_it_waits(self, holder: Holder) -> None:
        if holder.owner not in self._waited_for:
            self._waited_for.add(holder.owner)
            self.endpoint.say(
                f"another process on {holder.host} is asking for the same replies: waiting for it; if it gives no sign of life "
                f"for {LEASE_SECONDS:.0f} seconds, they are asked for here"
            )

    async def _renew(self) -> None:
        """Gives signs of life for the claims of this buyer."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DataError):  # a busy store: the next time comes soon
                self.store.renew(self.owner, LEASE_SECONDS)

    async def _reserve(self, ask: Ask) -> Call:
        """The call, noted as sent, once the limits have room for it. Raises Exhausted."""
        async with self._queue:  # only the first in line looks whether calls under way have left room
            while (call := self.budget.reserve(ask, self.owner)) is None:
                await asyncio.sleep(0.05)
        return call

    async def _buy(self, client: openai.AsyncOpenAI, ask: Ask) -> str:
        """ "": the reply is stored; else why there is none."""
        chance = random.Random(ask.key)
        failed = 0
        reason = ""
        while failed < self.settings.attempts and not reason.startswith(REFUSED):
            await self._open()
            try:
                call = await self._reserve(ask)
            except Exhausted as limit:
                self.stopped = f"{NOT_ASKED}: {limit}"
                return self.stopped
            reason = await self._call(client, call)
            if not reason:
                self._any, self._pause, self._heard_at = True, 0.5, time.monotonic()
                return ""
            if reason == BUSY:
                continue
            failed += 1
            if failed < self.settings.attempts and not reason.startswith(REFUSED):
                await asyncio.sleep(min(LONGEST_PAUSE, 0.25 * 2**failed) * chance.uniform(0.5, 1.5))
        return f"{reason}, {failed} calls" if failed > 1 else reason

    async def _call(self, client: openai.AsyncOpenAI, call: Call) -> str:
        """ "": the reply is stored; else why there is none. Raises TeacherError where asking on makes no sense."""
        budget, settings = self.budget, self.settings
        try:
            body: Any = call.ask.body()
            if "top_k" in body:
                body["extra_body"] = {"top_k": body.pop("top_k")}  # the client refuses words that it does not know
            response = await client.chat.completions.with_raw_response.create(**body)
            return budget.received(call, response.content)
        except openai.APITimeoutError:
            reason = f"no reply within {settings.timeout:g} seconds"
            budget.failed(call, reason, tokens=None)
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            unheard = "Connect" in cause  # nobody listened, so nobody bills
            reason = f"connection failed ({cause})"
            budget.failed(call, reason, tokens=(0, 0) if unheard else None)
            if unheard and not self._any:
                raise TeacherError(
                    f"{settings.base_url}: nobody answers there. Start the server, or correct --base-url (OPENAI_BASE_URL)."
                ) from None
        except openai.APIStatusError as error:
            words = self.endpoint.clean(error.message)
            lasting = error.status_code < 500 and error.status_code not in (401, 403, 404, 408, 409, 429)
            reason = f"{REFUSED if lasting else 'status'} {error.status_code}: {words}"
            budget.failed(call, reason)
            if error.status_code in (429, 503):
                self._cool(error.response.headers)
                return BUSY
            if error.status_code in (401, 403):
                raise TeacherError(f"{settings.base_url} refuses the key: {words}. Set OPENAI_API_KEY.") from None
            if error.status_code == 404:
                raise TeacherError(
                    f"{settings.base_url} knows no model {settings.model!r}, or no chat there: {words}. Correct the model's "
                    "name or --base-url (it ends in /v1 with most servers)."
                ) from None
        return reason

    # one shared cool-down

    async def _open(self) -> None:
        while (wait := self._open_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def _cool(self, headers: Any) -> None:
        """Nobody asks for as long as the server says, or for twice as long as last time."""
        now = time.monotonic()
        if now - self._heard_at > self.settings.patience:
            raise TeacherError(
                f"{self.settings.base_url} has refused every call for {self.settings.patience:.0f} seconds (too many "
                "requests). Run the same command again later; what is stored is not bought again."
            )
        told = retry_after(headers)
        if told is not None:
            self._open_at = max(self._open_at, now + told)
        elif now >= self._open_at:  # of many calls that are refused at once, the first one counts
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            self._open_at = now + self._pause


BUSY = "busy"


def retry_after(headers: Any) -> float | None:
    """Seconds that a refusal asks to wait: `Retry-After` in seconds or as a date. None: it does not say.

    >>> retry_after({"retry-after": "2.5"})
    2.5
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
