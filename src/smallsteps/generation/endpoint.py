"""A `Generator` behind any OpenAI-compatible URL (hosted, vLLM, llama.cpp, `transformers serve`).

Every reply comes out of the store of paid replies. What is not there is bought (`buying.py`), by
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
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smallsteps import team
from smallsteps.errors import DataError, InternalError
from smallsteps.generation.access import Withheld
from smallsteps.generation.bodies import whole_characters
from smallsteps.generation.budget import Budget
from smallsteps.generation.buying import Buyer, Outcome
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import chat_reply, stored_answer
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.parameters import with_extra_body
from smallsteps.generation.settings import CallSettings


def samples_of(request: Request) -> range:
    """Numbers of the samples that a request wants."""
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
        # not part of OpenAI's interface; vLLM, llama.cpp and transformers know it
        parameters["top_k"] = decoding.top_k
    if decoding.temperature:
        # one for each sample, as far as the server heeds it
        parameters["seed"] = decoding.seed + sample
    return ChatRequest(
        base_url, model, messages, with_extra_body(parameters, extra_body or {}), sample
    )


@dataclass(frozen=True)
class PendingReply:
    """A reply that is not stored, and who waits for it: (request id, sample)."""

    chat_request: ChatRequest
    places: list[tuple[str, int]]


class Endpoint:
    """The `ChatGenerator` of one model at one URL. Reads no environment: the caller passes the
    key."""

    def __init__(
        self,
        settings: CallSettings,
        budget: Budget,
        key: str | Withheld | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """key, say: as `ModelServer` takes them. Without `settings.base_url` OpenAI is asked:
        `open_chat` fills in what the environment says."""
        self.server = ModelServer(settings, key, say)
        self.budget, self.store, self.thinking = budget, budget.store, settings.thinking
        self.stopped: str | None = None
        """Why the rest was not asked (a limit); None: there was no reason."""
        self._announced = False

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """One line about what buying these may cost. Raises RecipeError where something is to be
        bought and there is no key."""
        chat_requests = [
            chat_request for _, _, chat_request in self._chat_requests(requests, decoding)
        ]
        new = self.budget.missing(chat_requests)
        if new:
            self.server.key()
        costs = self.budget.forecast(len(chat_requests), new)
        return f"{self.server.model} at {self.server.base_url}: {costs}"

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample: stored ones first, the others as they come in. Of
        several processes of one launch only the first asks, and all get the replies."""
        if team.size() > 1:
            yield from team.from_first(lambda: list(self._replies(requests, decoding, progress)))
        else:
            yield from self._replies(requests, decoding, progress)

    def _replies(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None,
    ) -> Iterator[Reply]:
        pending: dict[str, PendingReply] = {}
        done = 0
        for id, sample, chat_request in self._chat_requests(requests, decoding):
            if (stored := stored_answer(self.store, chat_request)) is None:
                reply = pending.setdefault(chat_request.key, PendingReply(chat_request, []))
                reply.places.append((id, sample))
                continue
            self.server.proven = True
            done += 1
            if progress:
                progress(done)
            yield chat_reply(id, sample, chat_request, *stored, self.thinking)
        for chat_request, reason in self._bought(
            [reply.chat_request for reply in pending.values()]
        ):
            bought = stored_answer(self.store, chat_request) if reason is None else None
            for place in pending[chat_request.key].places:
                done += 1
                if progress:
                    progress(done)
                if bought is None:
                    yield Reply(*place, (), "", "failed", 0, error=reason or "unreadable reply")
                else:
                    yield chat_reply(*place, chat_request, *bought, self.thinking)

    def _chat_requests(
        self, requests: Iterable[Request], decoding: Decoding
    ) -> Iterator[tuple[str, int, ChatRequest]]:
        """(request id, sample, the request for it) of each sample."""
        server = self.server
        extra_body = server.settings.extra_body
        for request in requests:
            for sample in samples_of(request):
                chat_request = to_chat_request(
                    server.base_url, server.model, request, decoding, sample, extra_body
                )
                yield request.id, sample, chat_request

    def _bought(self, chat_requests: list[ChatRequest]) -> Iterator[Outcome]:
        """Outcomes as they come in, from an event loop in a thread of its own."""
        if not chat_requests:
            return
        key = self.server.key()
        if not self._announced:
            self._announced = True
            self.server.say(
                f"asking {self.server.model} at {self.server.base_url}, "
                f"{'with the key of OPENAI_API_KEY' if key else 'without a key'}"
            )
        outcomes: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        buyer = Buyer(self.server, self.budget, outcomes.put)
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
