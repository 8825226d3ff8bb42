"""The batch of a causal student: rows enter, write, leave, and come back with their caches.

A row enters by a pass over the part of its prompt that its cache does not hold: that is how a
dual-path student reads what the other one wrote. A uni-path chain is one row from question to end:
the model writes the markers itself.

Positions are given explicitly, so models with absolute positions work as well. Not here: the
caches' layout (`causal_cache.py`), segments and markers (`paths.py`)."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from smallsteps.errors import InternalError
from smallsteps.generation.caches import cache_argument
from smallsteps.generation.causal_cache import BatchCache, RowCache, joined, rows_of
from smallsteps.generation.generator import Decoding, Finished, Reply, Request
from smallsteps.generation.sampling import ReplyRow, choose_tokens, finished_reply, new_rows
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.threads import on_decoding_threads

PREFILL_TOKENS = 8192
"""Maximum number of padded tokens that entering rows read at a time."""


class CausalSession:
    """Continuous batching for causal students."""

    def __init__(self, student: Student, model: Any, decoding: Decoding, batch_size: int) -> None:
        self.student, self.model = student, model
        self.decoding, self.batch_size = decoding, batch_size
        self.cache_argument = cache_argument(model)
        self.waiting: deque[ReplyRow] = deque()
        self.rows: list[ReplyRow] = []
        self.cache = BatchCache()
        """Of `rows`, in their order."""

    def submit(self, request: Request) -> None:
        """Queues a request; it enters at the next step that has room."""
        self.waiting.extend(new_rows(request, self.student, self.decoding))

    @property
    def idle(self) -> bool:
        return not self.rows and not self.waiting

    @on_decoding_threads
    @torch.inference_mode()
    def step(self) -> list[Reply]:
        """One token for every row; the replies that are done. Rows that enter write their first
        token."""
        replies = self._advance() if self.rows else []
        while self.waiting and len(self.rows) < self.batch_size:
            replies += self._enter()
        return replies

    def _advance(self) -> list[Reply]:
        """Writes a token for every row in the cache; the replies that are done."""
        device = self.student.device
        inputs = torch.tensor([[row.written[-1]] for row in self.rows], device=device)
        layers, mask, positions = self.cache.before_token()
        out = self.model(
            input_ids=inputs,
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            use_cache=True,
            **{self.cache_argument: Cache(layers=list(layers))},
        )
        self.cache.after_token()
        endings = self._take(self.rows, out.logits[:, -1])
        replies, staying = [], []
        for place, (row, ending) in enumerate(zip(self.rows, endings, strict=True)):
            if ending:
                cache = self.cache.row(place) if row.request.keep_cache else None
                replies.append(finished_reply(row, ending, self.student, cache))
            else:
                staying.append(place)
        if len(staying) < len(self.rows):
            self.rows = [self.rows[place] for place in staying]
            self.cache.keep(staying)
        return replies

    def _take(self, rows: list[ReplyRow], logits: Tensor) -> list[Finished | None]:
        """Chooses each row's next token; how each row's reply ended, None where it did not."""
        tokens, logprobs = choose_tokens(logits, rows, self.decoding)
        return [
            row.take(tokens[n], logprobs[n] if logprobs else None) for n, row in enumerate(rows)
        ]

    def _enter(self) -> list[Reply]:
        """Lets a group of waiting rows read their prompts and write a token; those that go on join
        the batch. The replies that are done already."""
        group = self._next_group()
        logits, caches = self._read(group)
        endings = self._take(group, logits)
        replies, staying = [], []
        for row, cache, ending in zip(group, caches, endings, strict=True):
            if ending:
                kept = cache if row.request.keep_cache else None
                replies.append(finished_reply(row, ending, self.student, kept))
            else:
                staying.append((row, cache))
        if staying:
            self.cache.add([cache for _, cache in staying])
            self.rows += [row for row, _ in staying]
        return replies

    def _next_group(self) -> list[ReplyRow]:
        """Waiting rows that fit beside those under way and can be read in one pass."""
        group: list[ReplyRow] = []
        longest = 0
        while self.waiting and len(self.rows) + len(group) < self.batch_size:
            longest = max(longest, len(unread(self.waiting[0])))
            if group and longest * (len(group) + 1) > PREFILL_TOKENS:
                break
            group.append(self.waiting.popleft())
        return group

    def _read(self, group: list[ReplyRow]) -> tuple[Tensor, list[RowCache]]:
        """Logits [rows, vocab] after each row's prompt, and each row's cache.

        Columns are the caches that rows bring along, right-aligned, then the new tokens,
        right-aligned; the mask skips both paddings."""
        device = self.student.device
        config = self.model.config.get_text_config()
        layers, before = joined([row_cache(row) for row in group], config.num_hidden_layers)
        sources = [unread(row) for row in group]
        ids, unread_mask = pad(sources, fill=self.student.pad_id, left=True)
        read_mask = torch.zeros(len(group), before, dtype=torch.long)
        positions = torch.zeros_like(ids)
        for n, (row, source) in enumerate(zip(group, sources, strict=True)):
            read = len(row.source) - len(source)
            read_mask[n, before - read :] = 1
            positions[n, -len(source) :] = torch.arange(read, len(row.source))
        mask = torch.cat([read_mask, unread_mask], dim=1)
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            use_cache=True,
            logits_to_keep=1,
            **{self.cache_argument: Cache(layers=list(layers))},
        )
        return out.logits[:, -1], rows_of(layers, mask)


def row_cache(row: ReplyRow) -> RowCache | None:
    """The cache that a row brings along. Raises InternalError where another engine made it."""
    cache = row.request.cache
    if cache is None or isinstance(cache, RowCache):
        return cache
    raise InternalError(f"{row.request.id}: the cache of another engine")


def unread(row: ReplyRow) -> tuple[int, ...]:
    """The part of a row's prompt that its cache does not hold."""
    cache = row_cache(row)
    return row.source[cache.length :] if cache else row.source
