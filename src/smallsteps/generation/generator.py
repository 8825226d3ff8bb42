"""One interface for everything that writes text: students, teachers and readers.

A `Generator` takes requests and gives replies as they are done; ids tie them together. Chat models
behind an endpoint read messages (`ChatGenerator`). Students read token ids and take further
requests while others are under way (`Engine`): a chain that is written segment by segment submits
its next segment as soon as the one before it is done. `engine.open_engine` opens a student's
engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from smallsteps.config import (
    LEAST_TEMPERATURE,
    MOST_TEMPERATURE,
    Count,
    Name,
    Settings,
    TemperatureOrZero,
)
from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation.server_settings import ServerSettings

Finished = Literal["end", "stop", "limit", "failed"]
"""How a reply ended: the end of sequence, the request's own `stop`, a limit on tokens; `failed`,
of chat models only: no reply came, and `Reply.error` says why."""

REFUSED = "refused"
UNFINISHED = "unfinished thought"
LASTING = (REFUSED, "empty reply", "unreadable reply", UNFINISHED)
"""How permanent errors begin: retrying does not help."""

NO_CAP = 100_000
"""New tokens of a reply where the task's own limits rule."""

Messages = Sequence[tuple[str, str]]
"""(role, content) in order."""


def check_temperature(value: float, name: str = "temperature") -> float:
    """`value` itself. Raises RecipeError where it is neither 0 nor within the bounds; `name` says
    what was set."""
    if value == 0 or LEAST_TEMPERATURE <= value <= MOST_TEMPERATURE:
        return value
    raise RecipeError(
        f"{name} {value:g}: expected 0 (greedy), or {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}."
    )


class Decoding(Settings):
    """How tokens are chosen."""

    max_new_tokens: int = Field(256, ge=1, le=10_000_000)
    """Per reply, the end included."""
    temperature: TemperatureOrZero = 0.0
    """0: greedy. Otherwise logits are divided by it before a token is drawn."""
    top_k: int = Field(0, ge=0)
    """Only the k likeliest tokens; 0: all. Ties with the k-th are kept."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Only the likeliest tokens that together reach this probability."""
    seed: int = Field(0, ge=0, lt=2**63)
    """A reply depends on (seed, request id, sample) and on nothing else: neither on batch size nor
    on order."""
    logprobs: bool = False
    """Whether replies carry the log-probability of each token under the distribution it was drawn
    from."""

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


class EngineSettings(Settings):
    """How a student writes."""

    engine: Name = "local"
    """A name in `engine.ENGINES`."""
    batch_size: Count = 32
    """Maximum number of replies under way at a time."""
    dtype: Name | None = None
    """`bfloat16`: reduced precision; None: the student's own."""
    server: ServerSettings = Field(default_factory=ServerSettings)
    """Of the engine `vllm` only."""


class PromptCache(Protocol):
    """What an engine remembers of a prompt. Only the engine that made it can use it."""

    @property
    def length(self) -> int:
        """Number of tokens read, from the first one of the prompt on."""
        ...


@dataclass(frozen=True)
class Request:
    """A prompt to continue."""

    id: str
    prompt: Sequence[int] | str | Messages
    """Token ids for a student: of an encoder-decoder the encoder's input, of a causal model all
    that comes before the reply. Text or messages for a chat model."""
    samples: int = 1
    first_sample: int = 0
    """Number of the first of them: to get a third one only, say 2."""
    max_new_tokens: int | None = None
    """Overrides the decoding's."""
    decoding: Decoding | None = None
    """Engines only. Overrides the session's, for requests of different clients in one batch."""
    draws_as: str | None = None
    """Engines only. The id that drawn tokens depend on, where it is not `id`: equal questions of
    different clients then get equal replies."""
    stop: Callable[[Sequence[int]], bool] | None = None
    """Engines only. Called with the ids written so far, after each token in order; where it returns
    True, the reply ends with `stop`."""
    stop_ids: Collection[int] = ()
    """Engines only, a hint: ids after which `stop` returns True. An engine that cannot call `stop`
    while it writes ends the reply there."""
    given: Sequence[int] = ()
    """Engines only. Ids with which the reply begins: given, not chosen. They count as written."""
    keep_cache: bool = False
    """Engines only, a hint: a later request will begin with this prompt and its reply. Engines that
    can hand back `Reply.cache`."""
    cache: PromptCache | None = None
    """Engines only, a hint: an earlier reply's cache, which holds the first `cache.length` tokens
    of `prompt`. An engine that keeps no caches reads the whole prompt."""


@dataclass(frozen=True)
class Reply:
    """What was written for one sample of a request."""

    id: str
    sample: int
    ids: tuple[int, ...]
    """Without the end token; with the token at which `stop` returned True."""
    text: str
    finished: Finished
    tokens: int
    """Tokens written, the end included."""
    logprobs: tuple[float, ...] = ()
    """Nats, one per token chosen, the end included; empty unless the decoding asks for them."""
    cache: PromptCache | None = None
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
        """One reply for each request and sample, in the order in which they are done. `progress`
        receives the number of replies done so far."""
        ...


class Session(Protocol):
    """Requests under way at one engine; more may be added between two steps."""

    def submit(self, request: Request) -> None:
        """Queues a request."""
        ...

    def step(self) -> list[Reply]:
        """Writes on; the replies that are done by then, perhaps none."""
        ...

    @property
    def idle(self) -> bool:
        """Whether no request is under way or queued."""
        ...


@runtime_checkable
class Engine(Generator, Protocol):
    """A `Generator` over a student: it reads token ids and honours `Request.stop`.

    Greedy replies are those of `model.generate` for each prompt alone. An engine reads the weights
    when it is opened: open a new one after they have changed."""

    def session(self, decoding: Decoding) -> Session:
        """An empty session. At most one may be in use at a time."""
        ...

    def start(self) -> None:
        """Gets ready to write, so that what comes next is writing alone. Without it a session does
        so by itself."""
        ...

    def close(self) -> None:
        """Gives back what the engine holds beside the student, such as a server."""
        ...


@runtime_checkable
class Renewable(Engine, Protocol):
    """An engine that can stay open while its student is trained."""

    def renew(self) -> None:
        """What is requested from now on is written with the student's weights as they are now. Said
        before the first request too, so that the engine leaves the student where it is and room for
        its training beside it."""
        ...


def run_session(
    session: Session, requests: Iterable[Request], progress: Callable[[int], None] | None = None
) -> Iterator[Reply]:
    """Submits `requests` and steps until all are done: `generate` of an engine with sessions."""
    for request in requests:
        session.submit(request)
    done = 0
    while not session.idle:
        for reply in session.step():
            done += 1
            if progress:
                progress(done)
            yield reply


def check_all_came(role: str, name: str, errors: Sequence[str | None]) -> None:
    """Raises TeacherError where replies of the `role` (reader, judge) `name` did not come: a limit
    or the network. `errors`: of each reply, None where it came. Permanent errors (`LASTING`) do not
    count: asking again brings the same."""
    missing = [error for error in errors if error and not error.startswith(LASTING)]
    if missing:
        raise TeacherError(
            f"{role} {name!r}: {len(missing):,} of {len(errors):,} replies did not come; "
            f"the first error: {missing[0]}. The replies that came are stored. Raise the limit "
            "or wait for the server, and run the same command again: it goes on from there."
        )


class ChatGenerator(Generator, Protocol):
    """A `Generator` that reads messages and whose replies are kept in a store."""

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """One line about what the requests may cost, before the first call."""
        ...
