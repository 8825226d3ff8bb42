"""A `Generator` behind any OpenAI-compatible URL (hosted, vLLM, llama.cpp, `transformers serve`).

Every reply comes out of the store of paid replies; what is not there is bought (`buying.py`), by
many calls at once:

- One call buys one sample, as not every server knows `n`.
- A body is stored as it came, then read (`completion.py`). An empty one is a failure, never an
  answer.
- Where a limit of the budget is reached, calls under way are awaited and stored, and the requests
  left come back failed.

The key goes to the server and nowhere else, and to that server alone that it belongs to
(`access.py`)."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smallsteps.errors import DataError, InternalError, RecipeError
from smallsteps.generation.access import OPENAI, Withheld, check_key
from smallsteps.generation.bodies import one_line, whole_characters
from smallsteps.generation.budget import Budget
from smallsteps.generation.buying import Buyer, Outcome
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import reply_of, stored_answer
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.parameters import Dialect, merged
from smallsteps.generation.settings import CallSettings


def samples_of(request: Request) -> range:
    return range(request.first_sample, request.first_sample + request.samples)


def to_chat_request(
    base_url: str,
    model: str,
    request: Request,
    decoding: Decoding,
    sample: int,
    extra_body: Mapping[str, Any] | None = None,
) -> ChatRequest:
    """One sample of a request as the store knows it. Raises DataError where the prompt is no
    text."""
    prompt: Any = request.prompt
    if not isinstance(prompt, str) and not all(isinstance(part, tuple) for part in prompt):
        raise InternalError(f"{request.id}: a chat model reads text or messages, got ids")
    messages = (("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
    for _, content in messages:
        if whole_characters(content) != content:
            raise DataError(
                f"{request.id}: the prompt holds half a character (a lone surrogate). "
                "Correct the row."
            )
    parameters: dict[str, Any] = {
        "max_tokens": request.max_new_tokens or decoding.max_new_tokens,
        "temperature": decoding.temperature,
    }
    if decoding.top_p < 1:
        parameters["top_p"] = decoding.top_p
    if decoding.top_k:
        parameters["top_k"] = (
            decoding.top_k
        )  # no part of OpenAI's interface; vLLM, llama.cpp and transformers know it
    if decoding.temperature:
        parameters["seed"] = (
            decoding.seed + sample
        )  # one for each sample, as far as the server heeds it
    return ChatRequest(base_url, model, messages, merged(parameters, extra_body or {}), sample)


class Endpoint:
    """Asks one model at one URL. No environment is read here: the caller hands over the key."""

    def __init__(
        self,
        settings: CallSettings,
        budget: Budget,
        key: str | Withheld | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Without a key stored replies are given and nothing is bought; an empty key is none that
        is needed. `say` gets a line for the user, such as that it waits; default: standard
        error. Without `settings.base_url` OpenAI is asked: `open_chat` fills in what the
        environment says."""
        self.base_url, self.model = settings.base_url or OPENAI, settings.name
        self.settings, self.budget, self.store, self._key = settings, budget, budget.store, key
        self.say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self.dialect = Dialect()
        self.stopped: str | None = None
        """Why the rest was not asked (a limit), None while there is no reason."""
        self.given_up: dict[str, str] = {}
        """Key → why it brought no answer, for as long as this object lives: a new run asks
        again."""
        self.proven = False
        """Whether this model has ever answered there."""
        self._announced = False

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """What buying these may take, in a line. Raises RecipeError where something is to be bought
        and there is no key."""
        chat_requests = [
            chat_request for _, _, chat_request in self._chat_requests(requests, decoding)
        ]
        new = self.budget.missing(chat_requests)
        if new:
            self.key()
        costs = self.budget.forecast(len(chat_requests), new)
        return f"{self.model} at {self.base_url}: {costs}"

    def key(self) -> str:
        """The key, as it is sent. Raises RecipeError where there is none for this server."""
        key = self._key
        if key is None:
            key = Withheld(
                f"no key for {self.base_url}: set the environment variable OPENAI_API_KEY."
            )
        if isinstance(key, str):
            key = check_key(key, self.base_url)
        if isinstance(key, Withheld):
            raise RecipeError(key.reason)
        return key

    def _chat_requests(
        self, requests: Iterable[Request], decoding: Decoding
    ) -> Iterator[tuple[str, int, ChatRequest]]:
        settings = self.settings
        for request in requests:
            for sample in samples_of(request):
                chat_request = to_chat_request(
                    self.base_url,
                    self.model,
                    request,
                    decoding,
                    sample,
                    settings.extra_body,
                )
                yield request.id, sample, chat_request

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample: stored ones first, the others as they come in."""
        wanted: dict[str, Wanted] = {}
        done = 0
        for id, sample, chat_request in self._chat_requests(requests, decoding):
            if (stored := stored_answer(self.store, chat_request)) is None:
                wanted.setdefault(chat_request.key, Wanted(chat_request, [])).places.append(
                    (id, sample)
                )
                continue
            self.proven = True
            done += 1
            if progress:
                progress(done)
            yield reply_of(id, sample, chat_request, *stored, self.settings.thinking)
        for chat_request, reason in self._bought([one.chat_request for one in wanted.values()]):
            bought = stored_answer(self.store, chat_request) if reason is None else None
            for place in wanted[chat_request.key].places:
                done += 1
                if progress:
                    progress(done)
                if bought is None:
                    yield Reply(*place, (), "", "failed", 0, error=reason or "unreadable reply")
                else:
                    yield reply_of(*place, chat_request, *bought, self.settings.thinking)

    def _bought(self, chat_requests: list[ChatRequest]) -> Iterator[Outcome]:
        """Outcomes as they come in, from an event loop in a thread of its own."""
        if not chat_requests:
            return
        key = self.key()
        if not self._announced:
            self._announced = True
            self.say(
                f"asking {self.model} at {self.base_url}, "
                f"{'with the key of OPENAI_API_KEY' if key else 'without a key'}"
            )
        outcomes: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        buyer = Buyer(self, outcomes.put)
        thread = threading.Thread(
            target=buyer.run, args=(chat_requests,), name="endpoint", daemon=True
        )
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

    def clean(self, words: object) -> str:
        """What a server says, in one line and without the key, which some servers repeat."""
        text = str(words)
        return one_line(text.replace(self._secret, "[key]") if self._secret else text)

    def without_key(self, body: bytes) -> bytes:
        """What a server sent, without the key."""
        return body.replace(self._secret.encode(), b"[key]") if self._secret else body

    @property
    def _secret(self) -> str:
        """The key where it is one; the `token` or `1234` of a server of one's own stands in replies
        by chance as well."""
        key = self.key()
        return key if len(key) >= 8 and not key.isalpha() and not key.isdigit() else ""


@dataclass(frozen=True)
class Wanted:
    """A request that is not stored, and who waits for it: (request id, sample)."""

    chat_request: ChatRequest
    places: list[tuple[str, int]]
