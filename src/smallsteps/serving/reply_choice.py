"""One choice of a reply while it is written: what ends it, and what the client hears of it.

The engine calls a request's `stop` rule after each token. That is where a choice watches itself:
it ends at the client's `stop` texts and limit of tokens, hands on text that is certain, and ends
at the next token once nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from smallsteps.errors import UserError
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.paths import SegmentTurn
from smallsteps.records import Kind, Stopped
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.scripts import Script, Segments
from smallsteps.serving.token_logprobs import BROKEN, TokenLogprob, spell
from smallsteps.students.student import Student

Finish = Literal["stop", "length"]
"""How a reply ended, in OpenAI's words."""

LOOK_EVERY = 3
"""Tokens between two looks at the text of a streamed choice without `stop` texts."""


@dataclass(frozen=True)
class Piece:
    """Text that was added to a choice."""

    choice: int
    text: str
    segment: int
    """Number of the segment that the end of `text` belongs to, from 0."""
    kind: Kind | None


@dataclass(frozen=True)
class Written:
    """A choice that is done."""

    choice: int
    text: str
    finish: Finish
    stopped: Stopped | None
    """How the chain ended; None: a `stop` text or the client's limit ended it."""
    segments: Segments
    answer: str | None
    read: int
    """Tokens of the prompt."""
    tokens: int
    """Tokens written, ends included."""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A choice that cannot be written."""

    choice: int
    error: ApiError


Event = Piece | Written | Failure


class ReplyChoice:
    """One of the replies to one prompt."""

    def __init__(
        self,
        number: int,
        make_script: Callable[[Callable[[], None]], Script],
        decoding: Decoding,
        emit: Callable[[Event], None],
        *,
        stops: Sequence[str] = (),
        streams: bool = False,
    ) -> None:
        """`make_script` gets what is to be called after each segment. `emit` is called on the
        engine's thread; pieces are emitted only with `streams`."""
        self.number, self.decoding, self.emit = number, decoding, emit
        self.stops, self.streams = tuple(stops), streams
        self.script = make_script(self._segment_done)
        self.cancelled = False
        """Set from outside, at any time: nobody waits for this choice any more."""
        self.read = 0
        self.tokens = 0
        """Of finished replies."""
        self._turn: SegmentTurn | None = None
        self._ended: tuple[Finish, Segments] | None = None
        """(reason, segments) where the client's own limits have ended it."""
        self._sent = ""
        self._replies: list[tuple[Student, Reply]] = []

    def first(self) -> Request | None:
        """The first request. None: it cannot be written, and `emit` has said why."""
        try:
            turn = self.script.first()
        except UserError as error:
            code = "context_length_exceeded" if "tokens" in str(error) else None
            self.emit(Failure(self.number, ApiError(400, str(error), param="messages", code=code)))
            return None
        self.read = len(turn.request.prompt)
        return self._watched(turn)

    def following(self, reply: Reply) -> Request | None:
        """Takes a finished reply; the next request. None: the choice is done."""
        assert self._turn is not None, "a reply comes after its request"
        if self.cancelled:
            return None
        self.tokens += reply.tokens
        if self.decoding.logprobs:
            self._replies.append((self.script.writer(self._turn), reply))
        if self._ended is None:
            turn = self.script.following(reply)
            if turn is not None and self.tokens >= self.decoding.max_new_tokens:
                self._ended = self._ended or ("length", self.script.segments())
            if turn is not None and self._ended is None:
                return self._watched(turn)
        self._finish()
        return None

    @property
    def writer_kind(self) -> Kind:
        """Whose engine the last request is for."""
        assert self._turn is not None, "asked before the first request"
        return self._turn.writer

    def _watched(self, turn: SegmentTurn) -> Request:
        """The request of a turn, with a stop rule that watches over it."""
        self._turn = turn
        inner = turn.request.stop

        def watch(ids: Sequence[int]) -> bool:
            if self.cancelled or (inner is not None and inner(ids)):
                return True
            if self._ended is not None:  # a stop text in a segment that has just ended
                return True
            if self.tokens + len(ids) >= self.decoding.max_new_tokens:
                segments = self.script.segments(turn, ids)
                self._look(segments)
                self._ended = self._ended or ("length", segments)
            elif self.stops or (self.streams and len(ids) % LOOK_EVERY == 1):
                self._look(self.script.segments(turn, ids))
            return self._ended is not None

        return replace(turn.request, stop=watch, decoding=self.decoding)

    def _text(self, segments: Segments) -> str:
        return self.script.join([text for _, text in segments])

    def _segment_done(self) -> None:
        if not self.cancelled:
            self._look(self.script.segments())

    def _look(self, segments: Segments) -> None:
        """Notes a `stop` text; sends what is certain."""
        text = self._text(segments)
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        if places:
            text = self._stripped(text[: min(places)])
            segments = cut_segments(segments, text, self.script.join)
            self._ended = self._ended or ("stop", segments)
        elif self.stops:
            text = self._stripped(text[: len(text) - self._held_back(text)])
        if self.streams and segments:
            self._send(text.rstrip(BROKEN), segments)

    def _stripped(self, text: str) -> str:
        return text.rstrip() if self.script.strips else text

    def _held_back(self, text: str) -> int:
        """Length of the end of `text` with which a `stop` text may begin."""
        longest = max(len(stop) for stop in self.stops)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self.stops):
                return length
        return 0

    def _send(self, text: str, segments: Segments) -> None:
        """Emits what `text` has beyond what was sent."""
        added = text[len(self._sent) :]
        if added and text.startswith(self._sent):
            self._sent = text
            self.emit(Piece(self.number, added, len(segments) - 1, segments[-1][0]))

    def _finish(self) -> None:
        segments, stopped = self.script.segments(), self.script.stopped
        finish: Finish = "stop" if stopped in ("stop_sign", "end") else "length"
        if self._ended is not None:
            (finish, segments), stopped = self._ended, None
        text = self._text(segments)
        if self.streams and segments:
            self._send(text, segments)
        strips = self.script.strips
        self.emit(
            Written(
                self.number,
                text,
                finish,
                stopped,
                segments,
                self.script.answer(text),
                self.read,
                self.tokens,
                spell(self._replies, text, self.script.join(["", ""]), strips),
            )
        )


def cut_segments(segments: Segments, text: str, join: Callable[[Sequence[str]], str]) -> Segments:
    """`segments` without what follows `text`, with which their joined text begins.

    >>> cut_segments([("ES", "Ann has"), ("AS", "so 7."), ("ES", "")], "Ann has so", " ".join)
    [('ES', 'Ann has'), ('AS', 'so')]
    """
    kept: Segments = []
    for kind, segment in segments:
        before = join([*(earlier for _, earlier in kept), ""]) if kept else ""
        rest = text[len(before) : len(before) + len(segment)]
        if rest:
            kept.append((kind, rest))
    return kept
