"""Rows as requests to a server that continues token ids, and what it wrote as replies."""

from __future__ import annotations

import hashlib
from typing import Any

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Decoding, Finished, Reply
from smallsteps.generation.plain import cut
from smallsteps.generation.sampling import ReplyRow, finished_reply
from smallsteps.generation.token_calls import WrittenIds
from smallsteps.students.student import Student


def body_of(
    row: ReplyRow, decoding: Decoding, model: str, length: int | None = None
) -> dict[str, Any]:
    """The request for one row. length: tokens that the student reads and writes at most. The
    student's ends stand in `stop_token_ids`; what a server would take from the model's files (other
    ends, a penalty on repetition) is switched off."""
    limit = row.limit - len(row.written)
    if length is not None:
        limit = min(limit, length - len(row.source))
    body: dict[str, Any] = {
        "model": model,
        "prompt": list(row.source),
        "max_tokens": max(1, limit),
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "seed": seed_of(row),
        "ignore_eos": True,
        "stop_token_ids": sorted({*row.ends, *row.request.stop_ids}),
        "skip_special_tokens": False,
        "return_token_ids": True,
    }
    return {**body, "logprobs": 0} if decoding.logprobs else body


def seed_of(row: ReplyRow) -> int:
    """A number below 2^63 for a row's draws: a hash of (seed, request id, sample)."""
    request = row.request
    name = request.id if request.draws_as is None else request.draws_as
    key = f"{row.seed}\0{name}\0{row.sample}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def reply_of(row: ReplyRow, written: WrittenIds, student: Student) -> Reply:
    """The reply that a continuation is, cut where the request's `stop` says so."""
    row.written += written.ids
    row.logprobs += written.logprobs
    ended = row.written[-1] in row.ends
    finished: Finished = "end" if ended else "limit" if written.cut else "stop"
    return cut(finished_reply(row, finished, student), row.request, student)


def check_logprobs(decoding: Decoding) -> None:
    """Raises RecipeError where a server's log-probabilities are not those of the distribution that
    tokens are drawn from: vLLM gives them before temperature, `top_k` and `top_p`."""
    if decoding.logprobs and (
        decoding.temperature not in (0, 1) or decoding.top_k or decoding.top_p < 1
    ):
        raise RecipeError(
            f"engine vllm gives no log-probabilities for {decoding.describe()}, only for greedy "
            "decoding and for temperature 1. Use engine local."
        )
