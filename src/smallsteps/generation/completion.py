"""What the raw body of a chat completion says: its text, its thought, and what it cost.

Everything that a server may send is read here and in `bodies.py`, and nothing but `Unreadable` is
raised, whatever it sent.

Thoughts. Models that think put a thought before their answer, in `<think>` tags or in a field of
its own (`reasoning_content`, `reasoning`). `thinking` says what of it is the reply: `drop` (what
follows the thought), `keep` (the thought, then what follows), `only` (the thought). A thought that
did not end is no reply. A server that files the whole of a finished reply as a thought and leaves
`content` empty is read as if the text stood in `content`.

Costs. A count of the server is believed where it is a whole number from 1 to ten millions. Where it
is missing or anything else, the call costs what it may have cost at most: each byte of the prompt a
token and 64 for each message; each byte of the body a token, at most `max_tokens`. No tokenizer
here makes more tokens than bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from smallsteps.errors import RecipeError
from smallsteps.generation.bodies import (
    Unreadable,
    choice_of,
    is_cut,
    message_of,
    message_text,
    parsed,
    thought_text,
)
from smallsteps.generation.generator import UNFINISHED, Reply
from smallsteps.generation.replies import Ask, ReplyStore, Spent
from smallsteps.generation.store_tables import MOST_TOKENS
from smallsteps.tasks.thoughts import split_thought

MESSAGE_TOKENS = 64
"""Reserved for each message for what a chat template writes around it (roles, a system prompt of
its own)."""

UNLIMITED_TOKENS = 32_768
"""Reserved for a reply without a limit of its own."""

Thinking = Literal["drop", "keep", "only"]
"""What of a reply with a thought is the reply."""


def check_thinking(name: str) -> Thinking:
    """`name` as a policy. Raises RecipeError where it is none."""
    if name not in get_args(Thinking):
        raise RecipeError(f"thinking is {name!r}, expected {', '.join(get_args(Thinking))}.")
    return name  # type: ignore[return-value]


@dataclass(frozen=True)
class Answer:
    """What a raw body says."""

    text: str
    """What follows the thought; without a thought, all of it."""
    cut: bool
    """Whether the server stopped at `max_tokens`."""
    input_tokens: int | None
    """As the server counted; None: it did not, or not believably."""
    output_tokens: int | None
    thought: str | None = None
    thought_ended: bool = True

    def text_under(self, thinking: Thinking) -> str:
        """The reply under a policy. Raises Unreadable where there is none."""
        if not self.thought_ended:
            raise Unreadable(
                f"{UNFINISHED}: the reply ends within it; let it write more tokens (--max-new-tokens)"
            )
        if thinking == "only" and self.thought is None:
            raise Unreadable("empty reply: it holds no thought (--thinking only)")
        if thinking == "drop" and not self.text:
            raise Unreadable("empty reply: nothing follows its thought")
        if thinking == "drop" or self.thought in (None, self.text):
            return self.text
        return (
            str(self.thought)
            if thinking == "only"
            else "\n\n".join(filter(None, (self.thought, self.text)))
        )

    def final(self, thinking: Thinking) -> str:
        """What follows the thought, where the policy makes the thought part of the reply."""
        return self.text if thinking != "drop" and self.thought not in (None, self.text) else ""


def read_answer(raw: str | bytes) -> Answer:
    """The answer in the raw body of a chat completion. Raises Unreadable."""
    body = parsed(raw if isinstance(raw, str) else raw.decode(errors="replace"))
    tokens = counts(body)
    try:
        choice = choice_of(body)
        message = message_of(choice)
        content, thought, cut = message_text(choice, message), thought_text(message), is_cut(choice)
    except Unreadable as error:
        error.tokens = tokens
        raise
    if thought and not content:
        return (
            Answer("", cut, *tokens, thought, False)
            if cut
            else Answer(thought, cut, *tokens, thought)
        )
    inner, rest, ended = split_thought(content)
    thought = "\n\n".join(filter(None, (thought, inner))) or None
    if not rest and not thought and ended:
        raise Unreadable("empty reply", tokens)
    return Answer(rest, cut, *tokens, thought, ended)


def counts(body: Any) -> tuple[int | None, int | None]:
    """(tokens read, tokens written) as the server counted; None for a count that is missing or
    cannot be.

    >>> counts({"usage": {"input_tokens": 7, "output_tokens": -3}})
    (7, None)
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None, None
    return _count(usage, "prompt_tokens", "input_tokens"), _count(
        usage, "completion_tokens", "output_tokens"
    )


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    values = (usage.get(name) for name in names)
    return next(
        (value for value in values if type(value) is int and 0 < value <= MOST_TOKENS), None
    )


def most_of(ask: Ask) -> Spent:
    """All that one call may cost."""
    read = sum(
        len(content.encode(errors="replace")) + MESSAGE_TOKENS for _, content in ask.messages
    )
    given = [
        value for name, value in ask.parameters if name in ("max_tokens", "max_completion_tokens")
    ]
    limits = [value for value in given if type(value) is int and value >= 0]
    return Spent(1, read, max(limits, default=UNLIMITED_TOKENS))


def cost_of(ask: Ask, raw: str | bytes, counted: tuple[int | None, int | None]) -> Spent:
    """What a call cost whose body came: as counted, else at most."""
    most, (read, written) = most_of(ask), counted
    size = len(raw if isinstance(raw, bytes) else raw.encode(errors="replace"))
    return Spent(
        1,
        most.input_tokens if read is None else read,
        min(size, most.output_tokens) if written is None else written,
    )


def stored_answer(store: ReplyStore, ask: Ask) -> tuple[str, Answer] | None:
    """The raw body in the store and what it says; None: it is still to be bought. A body that a
    killed process left and that is no answer goes to the failures."""
    if (raw := store.get(ask.key)) is None:
        return None
    try:
        return raw, read_answer(raw)
    except Unreadable as error:
        store.rejected(ask.key, str(error))
        return None


def reply_of(id: str, sample: int, ask: Ask, raw: str, answer: Answer, thinking: Thinking) -> Reply:
    """The reply that a stored body is; one that the policy leaves nothing of has failed."""
    cost = cost_of(ask, raw, (answer.input_tokens, answer.output_tokens))
    try:
        text = answer.text_under(thinking)
    except Unreadable as error:
        return Reply(
            id,
            sample,
            (),
            "",
            "failed",
            cost.output_tokens,
            error=str(error),
            read=cost.input_tokens,
        )
    return Reply(
        id,
        sample,
        (),
        text,
        "limit" if answer.cut else "end",
        cost.output_tokens,
        read=cost.input_tokens,
        final=answer.final(thinking),
    )
