"""The batch of a causal student: rows enter, write, leave, and come back with their caches.

A row enters by a pass over the part of its prompt that its cache does not hold: that is how a
dual-path student reads what the other one wrote. A uni-path chain is one row from question to end:
the model writes the markers itself. What most prompts begin with (a system message, demonstrations)
is read once for all of them, and so is the prompt of several samples.

Not here: the model's passes (`causal_models.py`), the caches' layout (`causal_cache.py`), segments
and markers (`paths.py`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import takewhile

import torch
from torch import Tensor

from smallsteps.errors import InternalError
from smallsteps.generation.causal_cache import SPARE_COLUMNS, RowCache
from smallsteps.generation.causal_models import CausalModel
from smallsteps.generation.generator import Decoding, Finished, Reply, Request
from smallsteps.generation.sampling import ReplyRow, choose_tokens, finished_reply, new_rows
from smallsteps.students.student import Student
from smallsteps.threads import on_decoding_threads

LEAST_SHARED = 16
"""Tokens that waiting prompts must have in common at their beginning to be read once for all."""

CACHE_BYTES = 2**32
"""About, keys and values of all rows under way on a CPU: a batch of long prompts is made smaller,
so that memory does not run out."""


class CausalSession:
    """Continuous batching for causal students."""

    def __init__(
        self, student: Student, model: CausalModel, decoding: Decoding, batch_size: int
    ) -> None:
        self.student, self.model = student, model
        self.decoding, self.batch_size = decoding, batch_size
        self.waiting: deque[ReplyRow] = deque()
        self.rows: list[ReplyRow] = []
        self.cache = model.new_cache()
        """Of `rows`, in their order."""
        self.shared: tuple[tuple[int, ...], RowCache | None] | None = None
        """What most prompts began with when the first rows entered, and its cache."""
        self.token_bytes = 0
        """Of a row's cache, for each token. 0: nothing was read yet; the first rows enter freely,
        in one pass."""

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
        while self.waiting and self._has_room(len(self.rows)):
            replies += self._enter()
        return replies

    def _has_room(self, rows: int) -> bool:
        """Whether the first waiting row may enter beside so many."""
        if rows and self.student.device.type == "cpu":
            columns = SPARE_COLUMNS + max([len(self.waiting[0].source), *self.cache.lengths])
            if (rows + 1) * columns * self.token_bytes > CACHE_BYTES:
                return False
        return rows < self.batch_size

    def _advance(self) -> list[Reply]:
        """Writes a token for every row in the cache; the replies that are done."""
        logits = self.model.step([row.written[-1] for row in self.rows], self.cache)
        self.cache.after_token()
        replies, leaving = [], []
        for place, (row, ending) in enumerate(
            zip(self.rows, self._take(self.rows, logits), strict=True)
        ):
            if ending:
                cache = self.cache.row(place) if row.request.keep_cache else None
                replies.append(finished_reply(row, ending, self.student, cache))
                leaving.append(place)
        if leaving:
            self.rows = [self.rows[place] for place in self.cache.drop(leaving)]
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
        if self.shared is None:
            self.shared = self._read_shared()
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
        lengths: list[int] = []
        while self.waiting and self._has_room(len(self.rows) + len(group)):
            row = self.waiting[0]
            if not group or row.source != group[-1].source:  # several samples are read once
                lengths.append(len(row.source) - _length(self._read_before(row)))
            if group and self.model.padded(lengths) > self.model.read_tokens:
                break
            group.append(self.waiting.popleft())
        return group

    def _read(self, group: list[ReplyRow]) -> tuple[Tensor, list[RowCache]]:
        """Logits [rows, vocab] after each row's prompt, and each row's cache."""
        places: dict[tuple[tuple[int, ...], int], int] = {}
        sources: list[tuple[int, ...]] = []
        caches: list[RowCache | None] = []
        place_of_row: list[int] = []
        for row in group:
            cache = self._read_before(row)
            place = places.setdefault((row.source, id(cache)), len(places))
            if place == len(sources):
                sources.append(row.source[_length(cache) :])
                caches.append(cache)
            place_of_row.append(place)
        logits, read = self.model.read(sources, caches)
        self.token_bytes = read[0].token_bytes
        return logits[place_of_row], [read[place] for place in place_of_row]

    def _read_before(self, row: ReplyRow) -> RowCache | None:
        """The cache of the beginning of a row's prompt: what it brings along, or what all prompts
        share; None: nothing is read yet. Raises InternalError where another engine made it."""
        cache = row.request.cache
        if isinstance(cache, RowCache):
            return cache
        if cache is not None:
            raise InternalError(f"{row.request.id}: the cache of another engine")
        ids, shared = self.shared or ((), None)
        begins = len(row.source) > len(ids) and row.source[: len(ids)] == ids
        return shared if begins else None

    def _read_shared(self) -> tuple[tuple[int, ...], RowCache | None]:
        """The ids that waiting prompts begin with, and their cache. None: too few to matter."""
        prompts = {row.source for row in self.waiting if row.request.cache is None}
        ids = common_beginning(prompts) if len(prompts) > 1 else ()
        if len(ids) < LEAST_SHARED:
            return (), None
        _, (cache,) = self.model.read([ids], [None])
        self.token_bytes = cache.token_bytes
        return ids, cache


def _length(cache: RowCache | None) -> int:
    return cache.length if cache else 0


def common_beginning(sources: Collection[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest beginning of at least half of the sources, a last id of theirs left out.

    >>> common_beginning([(1, 2, 3), (1, 2, 4, 5)]), common_beginning([(1, 2), (1, 2, 3)])
    ((1, 2), (1,))
    >>> common_beginning([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 6), (1, 2, 3, 7), (9, 9)])
    (1, 2, 3)
    """
    ordered = sorted(sources)
    quarter = len(ordered) // 4
    first, last = ordered[quarter], ordered[-1 - quarter]  # those between them begin alike too
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first[:-1], last[:-1], strict=False))
    return tuple(token for token, _ in same)
