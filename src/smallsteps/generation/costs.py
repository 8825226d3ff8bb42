"""What calls cost, in calls and tokens: at most before they are sent, as counted afterwards.

A count of the server is believed where it is a whole number from 1 to ten millions. Where it is
missing or anything else, the call costs the most that it may have cost: each byte of the prompt a
token, and 64 for each message; each byte of the body a token, at most `max_tokens`. No tokenizer
here makes more tokens than bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.store_tables import MAX_TOKENS

MESSAGE_TOKENS = 64
"""Reserved for each message for what a chat template writes around it (roles, a system prompt of
its own)."""

UNLIMITED_TOKENS = 32_768
"""Reserved for a reply without a limit of its own."""

Counts = tuple[int | None, int | None]
"""(tokens read, tokens written) as a server counted; None: it did not, or not believably."""


@dataclass(frozen=True)
class Cost:
    """Calls, and the tokens that they read and write."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


def counts(body: Any) -> Counts:
    """The counts in a parsed body; None for one that is missing or invalid.

    >>> counts({"usage": {"input_tokens": 7, "output_tokens": -3}})
    (7, None)
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None, None
    read = _count(usage, "prompt_tokens", "input_tokens")
    return read, _count(usage, "completion_tokens", "output_tokens")


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    """The first believable number under one of `names`."""
    for name in names:
        value = usage.get(name)
        if type(value) is int and 0 < value <= MAX_TOKENS:
            return value
    return None


def highest_cost(request: ChatRequest) -> Cost:
    """All that one call may cost."""
    read = sum(
        len(content.encode(errors="replace")) + MESSAGE_TOKENS for _, content in request.messages
    )
    limits = [
        value
        for name, value in request.parameters
        if name in ("max_tokens", "max_completion_tokens") and type(value) is int and value >= 0
    ]
    return Cost(1, read, max(limits, default=UNLIMITED_TOKENS))


def cost_of(request: ChatRequest, raw: str | bytes, counted: Counts) -> Cost:
    """What a call cost whose body came: as counted, otherwise the most that it may have cost."""
    highest = highest_cost(request)
    read, written = counted
    size = len(raw if isinstance(raw, bytes) else raw.encode(errors="replace"))
    return Cost(
        1,
        highest.input_tokens if read is None else read,
        min(size, highest.output_tokens) if written is None else written,
    )
