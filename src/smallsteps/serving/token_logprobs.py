"""The tokens of a reply, spelled so that their texts joined are the reply's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smallsteps.generation.generator import Reply
from smallsteps.students.student import Student
from smallsteps.tasks.base import STOP_TOKEN

BROKEN = "\ufffd"
"""How a part of a character decodes. The next token may complete it."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token of a reply: its text, empty for a marker and for all but the last part of a
    character; and its log-probability in nats."""

    text: str
    logprob: float


def spell(
    replies: Sequence[tuple[Student, Reply]], text: str, joiner: str, strips: bool
) -> tuple[TokenLogprob, ...]:
    """The tokens that `text` is made of, without ends of sequence and what follows `text`.

    `joiner` stands before the first token of a later segment. `strips`: white space around a
    segment belongs to no token."""
    tokens: list[TokenLogprob] = []
    spelled = ""
    for student, reply in replies:
        for ids, logprobs in _between_markers(student, reply):
            whole = _shown(student.text(ids), strips).rstrip() if strips else student.text(ids)
            begun, added = "", joiner if spelled and whole else ""
            for length, logprob in enumerate(logprobs, start=1):
                if len(spelled) >= len(text):
                    return tuple(tokens)
                decoded = _shown(student.text(ids[:length]), strips)[: len(whole)]
                if decoded.endswith(BROKEN) and decoded != whole:
                    decoded = begun
                piece = decoded[len(begun) :]
                if piece:
                    piece, added = added + piece, ""
                piece = piece[: len(text) - len(spelled)]
                tokens.append(TokenLogprob(piece, logprob))
                spelled, begun = spelled + piece, decoded
    return tuple(tokens)


def _shown(text: str, strips: bool) -> str:
    return text.replace(STOP_TOKEN, "").lstrip() if strips else text


def _between_markers(
    student: Student, reply: Reply
) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
    """(ids, log-probabilities) of each segment of a reply; a marker belongs to the one before."""
    markers, start = set(student.markers.values()), 0
    for place, token in enumerate(reply.ids, start=1):
        if token in markers or place == len(reply.ids):
            yield reply.ids[start:place], reply.logprobs[start:place]
            start = place
