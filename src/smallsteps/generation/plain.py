"""Sessions and stop rules for an engine that has neither.

An engine of another library often takes a list of prompts and gives whole replies. That is enough
to drive every student: a session collects requests and answers them all at its next step, a stop
rule cuts the finished reply, and a cache that the engine does not know is not passed on, so that
the whole prompt is read again. It costs time, not quality: tokens beyond a stop are written for
nothing, and chains that are written segment by segment wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Decoding, Generator, Reply, Request
from smallsteps.students.student import Student


class Plain:
    """An `Engine` made of a `Generator` that reads token ids and knows neither `Request.stop` nor
    caches. Requests need ids of their own."""

    def __init__(self, generator: Generator, student: Student) -> None:
        self.generator, self.student = generator, student

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample, in the order in which they are done."""
        by_id = {request.id: request for request in requests}
        if any(request.given for request in by_id.values()):
            raise RecipeError(
                "this engine cannot begin a reply with given tokens. Use engine local."
            )
        plain = [
            replace(request, stop=None, cache=None, keep_cache=False) for request in by_id.values()
        ]
        for reply in self.generator.generate(plain, decoding, progress):
            yield cut(reply, by_id[reply.id], self.student)

    def session(self, decoding: Decoding) -> PlainSession:
        """An empty session."""
        return PlainSession(self, decoding)

    def start(self) -> None:
        """Nothing: generators are ready."""

    def close(self) -> None:
        """Nothing: generators hold nothing that must be given back."""


class PlainSession:
    """Answers all that is queued at each step."""

    def __init__(self, engine: Plain, decoding: Decoding) -> None:
        self.engine, self.decoding = engine, decoding
        self.queue: list[Request] = []

    def submit(self, request: Request) -> None:
        """Queues a request; the next step answers it."""
        self.queue.append(request)

    @property
    def idle(self) -> bool:
        return not self.queue

    def step(self) -> list[Reply]:
        """The replies to all that is queued."""
        queue, self.queue = self.queue, []
        return list(self.engine.generate(queue, self.decoding))


def cut(reply: Reply, request: Request, student: Student) -> Reply:
    """The reply as it would be had the request's `stop` been asked after each token."""
    if request.stop is None:
        return reply
    given = len(request.given)
    for length in range(given + 1, len(reply.ids) + 1):
        ids = reply.ids[:length]
        if request.stop(ids):
            return replace(
                reply,
                ids=ids,
                text=student.text(ids),
                finished="stop",
                tokens=length,
                logprobs=reply.logprobs[: length - given],
                cache=None,
            )
    return replace(reply, cache=None)
