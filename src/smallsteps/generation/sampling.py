"""Rows, which are the replies under way in a batch, and the choice of their next tokens.

A drawn token depends on one uniform number, which is a hash of (seed, request id, sample, place in
the reply). So neither the batch a row happens to sit in nor the order of requests changes what is
drawn. Not here: models and caches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from smallsteps.errors import InternalError
from smallsteps.generation.generator import Decoding, Finished, PromptCache, Reply, Request
from smallsteps.students.student import Student


@dataclass
class ReplyRow:
    """One reply under way."""

    request: Request
    sample: int
    source: tuple[int, ...]
    limit: int
    """New tokens it may have."""
    ends: frozenset[int]
    seed: int
    written: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    def take(self, token: int, logprob: float | None = None) -> Finished | None:
        """Notes the next token; says how the reply ended if it did. While the request gives tokens,
        the next of them takes the place of `token`."""
        given = self.request.given
        if len(self.written) < len(given):
            self.written.append(given[len(self.written)])
            return None
        self.written.append(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        if token in self.ends:
            return "end"
        if self.request.stop is not None and self.request.stop(self.written):
            return "stop"
        return "limit" if len(self.written) >= self.limit else None

    def uniform(self) -> float:
        """A number in (0, 1) for the next token: 53 bits of a hash, the same in every batch and
        process."""
        request = self.request
        name = request.id if request.draws_as is None else request.draws_as
        key = f"{self.seed}\0{name}\0{self.sample}\0{len(self.written)}".encode()
        return (
            (int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 11) + 0.5
        ) / 2**53


def choose_tokens(
    logits: Tensor, rows: Sequence[ReplyRow], decoding: Decoding
) -> tuple[list[int], Sequence[float | None] | None]:
    """The next token of each row, and its log-probability where asked for; None: nobody asks.

    `logits`: [rows, vocab], any float type; overwritten. `decoding` holds for all rows whose
    request has none of its own. Greedy takes the first of equals, as `generate` does."""
    if all(row.request.decoding is None for row in rows):
        return _choose_alike(logits, rows, decoding)
    groups: dict[tuple[float, int, float, bool], tuple[Decoding, list[int]]] = {}
    for place, row in enumerate(rows):
        chosen_by = row.request.decoding or decoding
        key = (chosen_by.temperature, chosen_by.top_k, chosen_by.top_p, chosen_by.logprobs)
        groups.setdefault(key, (chosen_by, []))[1].append(place)
    if len(groups) == 1:
        ((shared, _),) = groups.values()
        return _choose_alike(logits, rows, shared)
    tokens = [0] * len(rows)
    logprobs: list[float | None] = [None] * len(rows)
    for shared, group in groups.values():
        chosen, values = _choose_alike(logits[group], [rows[place] for place in group], shared)
        for number, place in enumerate(group):
            tokens[place] = chosen[number]
            logprobs[place] = values[number] if values else None
    return tokens, logprobs


def _choose_alike(
    logits: Tensor, rows: Sequence[ReplyRow], decoding: Decoding
) -> tuple[list[int], list[float] | None]:
    """`choose_tokens` of rows that share their decoding."""
    logits = logits.float()
    if decoding.temperature == 0:
        tokens = logits.argmax(-1)
        return tokens.tolist(), _logprobs(logits, tokens) if decoding.logprobs else None
    logits.div_(decoding.temperature)
    if 0 < decoding.top_k < logits.shape[-1]:
        least = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits.masked_fill_(logits < least, -torch.inf)
    if decoding.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        logits.scatter_(1, order, ordered.masked_fill(before >= decoding.top_p, -torch.inf))
    sums = logits.double().softmax(-1).cumsum(-1)
    draws = torch.tensor([row.uniform() for row in rows], dtype=torch.double, device=logits.device)
    # the draw is scaled by the last sum, which rounding leaves a hair beside 1
    tokens = torch.searchsorted(sums, (draws * sums[:, -1])[:, None]).squeeze(1)
    return tokens.tolist(), _logprobs(logits, tokens) if decoding.logprobs else None


def _logprobs(logits: Tensor, tokens: Tensor) -> list[float]:
    """Nats of the chosen `tokens` [rows] under `logits` [rows, vocab]."""
    chosen = logits.gather(1, tokens[:, None]).squeeze(1)
    logprobs: list[float] = (chosen - logits.logsumexp(-1)).tolist()
    return logprobs


def new_rows(request: Request, student: Student, decoding: Decoding) -> list[ReplyRow]:
    """One row for each sample of `request`. A causal student reads given tokens with its prompt.

    Raises InternalError where the prompt is text: local models read ids."""
    source = tuple(token for token in request.prompt if isinstance(token, int))
    if len(source) < len(request.prompt):
        raise InternalError(f"{request.id}: a local model reads ids, got text")
    written = list(request.given) if student.architecture == "causal" else []
    source += tuple(written)
    decoding = request.decoding or decoding
    limit = request.max_new_tokens or decoding.max_new_tokens
    samples = range(request.first_sample, request.first_sample + request.samples)
    return [
        ReplyRow(request, n, source, limit, student.end_ids, decoding.seed, list(written))
        for n in samples
    ]


def finished_reply(
    row: ReplyRow, finished: Finished, student: Student, cache: PromptCache | None = None
) -> Reply:
    """The reply that a finished row amounts to."""
    ids = tuple(row.written[:-1] if finished == "end" else row.written)
    return Reply(
        row.request.id,
        row.sample,
        ids,
        student.text(ids),
        finished,
        len(row.written),
        tuple(row.logprobs),
        cache,
    )
