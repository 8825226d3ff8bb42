"""One interface for everything that writes text: students here, teachers and readers behind an
endpoint.

A `Generator` takes requests and gives replies in the order in which they are done, whatever that
is; ids tie them together. The local engine (`engine.py`) reads prompts as ids, an endpoint reads
them as text; a request may carry both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from smallsteps.errors import RecipeError

Finished = Literal["end", "stop", "limit", "failed"]
"""How a reply ended: the end of sequence, the request's own `stop`, a limit on tokens; or,
endpoints only, that none came (`Reply.error` says why)."""

REFUSED = "refused"
UNFINISHED = "unfinished thought"
LASTING = (REFUSED, "empty reply", "unreadable reply", UNFINISHED)
"""How errors begin that lie with the request and not with the weather: asking again brings the
same."""

Messages = Sequence[tuple[str, str]]
"""(role, content) in order."""


LEAST_TEMPERATURE = 0.01
"""Below it sampling is greedy but for ties, and logits divided by it may overflow."""
MOST_TEMPERATURE = 1000.0


def check_temperature(value: float, name: str = "temperature") -> float:
    """`value` itself. Raises RecipeError where it is neither 0 nor within the bounds; `name` says
    what was set."""
    if value == 0 or LEAST_TEMPERATURE <= value <= MOST_TEMPERATURE:
        return value
    raise RecipeError(
        f"{name} {value:g}: expected 0 (greedy), or {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}."
    )


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen."""

    max_new_tokens: int = 256
    """Per reply, the end included."""
    temperature: float = 0.0
    """0: greedy. Otherwise logits are divided by it before a token is drawn."""
    top_k: int = 0
    """Only the k likeliest tokens; 0: all. Ties with the k-th are kept."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability."""
    seed: int = 0
    """A reply depends on (seed, request id, sample) and on nothing else: neither on batch size nor
    on order."""
    logprobs: bool = False
    """Whether replies carry the log-probability of each token under the distribution it was drawn
    from."""

    def __post_init__(self) -> None:
        for name, ok, want in (
            ("max_new_tokens", 1 <= self.max_new_tokens <= 10_000_000, "1 to 10,000,000"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("seed", 0 <= self.seed < 2**63, "0 or more, below 2^63"),
        ):
            if not ok:
                raise RecipeError(f"decoding: {name} is {getattr(self, name)}, expected {want}.")
        check_temperature(self.temperature, "decoding: temperature")

    def describe(self) -> str:
        """For a score's signature.

        >>> Decoding().describe(), Decoding(temperature=0.7, top_p=0.9).describe()
        ('greedy', 'sample(t=0.7,p=0.9,seed=0)')
        """
        if not self.temperature:
            return "greedy"
        extra = (f",k={self.top_k}" if self.top_k else "") + (
            f",p={self.top_p}" if self.top_p < 1 else ""
        )
        return f"sample(t={self.temperature}{extra},seed={self.seed})"


@dataclass(frozen=True)
class Request:
    """Something to be continued."""

    id: str
    prompt: Sequence[int] | str | Messages
    """Ids for a local model (causal: everything so far; encoder-decoder: the encoder's input), text
    or messages for an endpoint."""
    samples: int = 1
    first_sample: int = 0
    """Number of the first of them: to ask for a third, say 2."""
    max_new_tokens: int | None = None
    """Overrides the decoding's."""
    stop: Callable[[Sequence[int]], bool] | None = None
    """Local only: asked after each token with the ids written so far; True ends the reply with
    `stop`."""
    past: Any = None
    """Causal, local only: the `Reply.past` to go on from; `prompt` is then only what was not read
    yet."""
    keep: bool = False
    """Causal, local only: hand back the cache in `Reply.past`."""


@dataclass(frozen=True)
class Reply:
    """What was written for one request."""

    id: str
    sample: int
    ids: tuple[int, ...]
    """Without the end token; with the token at which `stop` said so."""
    text: str
    finished: Finished
    tokens: int
    """Tokens written, the end included."""
    logprobs: tuple[float, ...] = ()
    """Nats, one per token written, the end included; empty unless asked for."""
    past: Any = None
    error: str | None = None
    """Why no reply came; only with `failed`."""
    read: int = 0
    """Tokens of the prompt; of replies of chat models only."""
    final: str = ""
    """What follows the thought of a chat model, where the thought belongs to `text`."""


class Generator(Protocol):
    """Anything that answers requests."""

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample, in the order in which they are done. `progress` is
        told the number of replies done so far."""
        ...


class ChatGenerator(Generator, Protocol):
    """A Generator that reads messages and whose replies are kept in a store."""

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """What these may cost, in a line, before the first call."""
        ...
