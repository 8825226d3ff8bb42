"""What is sent back: events of choices in the shapes of OpenAI's interface.

Each choice also has an object `smallsteps`, which other clients overlook: the segments with their
kinds, the answer that was read off, and how the chain ended."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal

from smallsteps.serving.reply_choice import Piece, Written
from smallsteps.serving.token_logprobs import TokenLogprob

Shape = Literal["chat", "text"]
PREFIX: dict[Shape, str] = {"chat": "chatcmpl-", "text": "cmpl-"}
OBJECT: dict[Shape, str] = {"chat": "chat.completion", "text": "text_completion"}
CHUNK: dict[Shape, str] = {"chat": "chat.completion.chunk", "text": "text_completion"}


def usage(choices: Sequence[Written], per_prompt: int) -> dict[str, int]:
    """Tokens read, each prompt once, and written. `per_prompt`: choices of each prompt."""
    read = sum(choice.read for choice in choices[::per_prompt])
    written = sum(choice.tokens for choice in choices)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Of a chat completion."""
    content = [
        {
            "token": token.text,
            "logprob": token.logprob,
            "bytes": list(token.text.encode()),
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def text_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Of a text completion."""
    offsets, place = [], 0
    for token in tokens:
        offsets.append(place)
        place += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": None,
        "text_offset": offsets,
    }


def _extra(written: Written) -> dict[str, Any]:
    return {
        "segments": [{"kind": kind, "text": text} for kind, text in written.segments],
        "answer": written.answer,
        "stopped": written.stopped,
    }


class ReplyShape:
    """The objects of one reply, or of one stream; they share an id."""

    def __init__(self, shape: Shape, model: str, logprobs: bool = False) -> None:
        self.shape, self.logprobs = shape, logprobs
        self._common = {
            "id": PREFIX[shape] + secrets.token_hex(12),
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, choices: Sequence[Written], per_prompt: int) -> dict[str, Any]:
        """A reply that is not streamed."""
        return {
            **self._common,
            "object": OBJECT[self.shape],
            "choices": [self._choice(choice) for choice in choices],
            "usage": usage(choices, per_prompt),
        }

    def _choice(self, written: Written) -> dict[str, Any]:
        chat = self.shape == "chat"
        tokens = None
        if self.logprobs:
            tokens = (chat_logprobs if chat else text_logprobs)(written.logprobs)
        content: dict[str, Any] = {"text": written.text}
        if chat:
            message = {"role": "assistant", "content": written.text, "refusal": None}
            content = {"message": message}
        return {
            "index": written.choice,
            **content,
            "logprobs": tokens,
            "finish_reason": written.finish,
            "smallsteps": _extra(written),
        }

    def opening(self, choice: int) -> dict[str, Any] | None:
        """The first event of a choice's stream; None: there is none in this shape."""
        if self.shape == "text":
            return None
        return self._chunk(choice, {"delta": {"role": "assistant", "content": ""}})

    def piece(self, piece: Piece) -> dict[str, Any]:
        """An event with more text."""
        content = {"delta": {"content": piece.text}}
        if self.shape == "text":
            return self._chunk(piece.choice, {"text": piece.text}, None, _segment(piece))
        return self._chunk(piece.choice, content, None, _segment(piece))

    def end(self, written: Written) -> dict[str, Any]:
        """The last event of a choice's stream."""
        content: dict[str, Any] = {"text": ""} if self.shape == "text" else {"delta": {}}
        return self._chunk(written.choice, content, written.finish, _extra(written))

    def totals(self, choices: Sequence[Written], per_prompt: int) -> dict[str, Any]:
        """The event with the numbers of tokens."""
        return {
            **self._common,
            "object": CHUNK[self.shape],
            "choices": [],
            "usage": usage(choices, per_prompt),
        }

    def _chunk(
        self,
        choice: int,
        content: dict[str, Any],
        finish: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        event: dict[str, Any] = {
            "index": choice,
            **content,
            "logprobs": None,
            "finish_reason": finish,
        }
        if extra is not None:
            event["smallsteps"] = extra
        return {**self._common, "object": CHUNK[self.shape], "choices": [event]}


def _segment(piece: Piece) -> dict[str, Any]:
    return {"segment": piece.segment, "kind": piece.kind}
