"""What the raw body of a chat completion says: its text, its thought, and what it cost.

Everything that a server may send is read here and in `bodies.py`, and nothing but `Unreadable` is
raised, whatever it sent.

Thoughts. Models that think put a thought before their answer, in `<think>` tags or in a field of
its own (`reasoning_content`, `reasoning`). `thinking` says what of it is the reply: `drop` (what
follows the thought), `keep` (the thought, then what follows), `only` (the thought). A thought that
did not end is no reply. A server that files the whole of a finished reply as a thought and leaves
`content` empty is read as if the text stood in `content`."""

from __future__ import annotations

from dataclasses import dataclass

from smallsteps.generation.bodies import (
    Unreadable,
    choice_of,
    is_cut,
    message_of,
    message_text,
    parsed,
    thought_text,
)
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.costs import cost_of, counts
from smallsteps.generation.generator import UNFINISHED, Reply
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import Thinking
from smallsteps.tasks.thoughts import split_thought


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
                f"{UNFINISHED}: the reply ends within it; allow more tokens (--max-new-tokens)"
            )
        if thinking == "only" and self.thought is None:
            raise Unreadable("empty reply: it holds no thought (--thinking only)")
        if thinking == "drop" and not self.text:
            raise Unreadable("empty reply: nothing follows its thought")
        if thinking == "drop" or self.thought in (None, self.text):
            return self.text
        if thinking == "only":
            return str(self.thought)
        return "\n\n".join(filter(None, (self.thought, self.text)))

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
        if cut:
            return Answer("", cut, *tokens, thought, thought_ended=False)
        return Answer(thought, cut, *tokens, thought)
    inner, rest, ended = split_thought(content)
    thought = "\n\n".join(filter(None, (thought, inner))) or None
    if not rest and not thought and ended:
        raise Unreadable("empty reply", tokens)
    return Answer(rest, cut, *tokens, thought, ended)


def stored_answer(store: ReplyStore, chat_request: ChatRequest) -> tuple[str, Answer] | None:
    """The raw body in the store and what it says; None: it is still to be bought. A body that a
    killed process left and that is no answer goes to the failures."""
    if (raw := store.get(chat_request.key)) is None:
        return None
    try:
        return raw, read_answer(raw)
    except Unreadable as error:
        store.rejected(chat_request.key, str(error))
        return None


def chat_reply(
    id: str, sample: int, chat_request: ChatRequest, raw: str, answer: Answer, thinking: Thinking
) -> Reply:
    """The reply that a stored body is. It has failed where `thinking` leaves nothing of it."""
    cost = cost_of(chat_request, raw, (answer.input_tokens, answer.output_tokens))
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
