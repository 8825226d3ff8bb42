"""Batches of causal students: caches that rows enter, leave, and come back with.

Keys carry their own positions (rotary), so a row's cache may lie anywhere on a shared time axis:
rows are right-aligned, each masks what lies before its start, and its positions are counted by
itself. A row enters by a pass over what it has not read, on top of the cache it brought along, if
any: that is how a dual-path student reads what the other wrote. Uni-path chains are one row from
question to end: the model writes the markers itself.

For models with absolute positions as well, since positions are given explicitly. Through the
modules of transformers. Not here: segments and markers (`solve.py`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from smallsteps.generation.caches import cache_argument
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.rows import Row, choose, new_rows, reply_of
from smallsteps.students.student import Student
from smallsteps.threads import on_decoding_threads

SPARE_STEPS = 128
"""Columns added when the caches are full."""

PREFILL_TOKENS = 8192
"""Padded tokens read at a time by rows that enter."""


@dataclass(frozen=True)
class Past:
    """What a row has read."""

    states: tuple[tuple[Tensor, Tensor], ...]
    """Per layer keys and values, each [heads, length, d]."""
    length: int


class SlotLayer(DynamicLayer):
    """Columns of a buffer [slots, heads, columns, d] that rows share; the session moves `front` and
    `now`."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.buffers = [keys, values]
        self.front = self.now = 0
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        end = self.now + key_states.shape[2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, self.now : end] = states
        keys, values = self.buffers
        return keys[:, :, self.front : end], values[:, :, self.front : end]

    def get_seq_length(self) -> int:
        return self.now - self.front


class CausalSession:
    """Continuous batching for causal students."""

    def __init__(self, student: Student, model: Any, decoding: Decoding, batch_size: int) -> None:
        self.student, self.model, self.decoding, self.batch_size = (
            student,
            model,
            decoding,
            batch_size,
        )
        self.cache_argument = cache_argument(model)
        self.waiting: deque[Row] = deque()
        self.rows: list[Row] = []
        self.lengths: list[int] = []
        """Tokens of each row in the cache."""
        self.layers: list[SlotLayer] = []
        self.now = 0

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
        """A token for the rows in the cache."""
        if self.now == self.layers[0].buffers[0].shape[2]:
            self._move(0)
        front = self.now - max(self.lengths)
        for layer in self.layers:
            layer.front, layer.now = front, self.now
        lengths = torch.tensor(self.lengths)
        # a row of length n sees its last n columns and the one being written
        columns = torch.arange(self.now - front + 1)
        mask = (columns >= (self.now - front - lengths)[:, None]).long().to(self.student.device)
        inputs = torch.tensor([[row.written[-1]] for row in self.rows], device=self.student.device)
        out = self.model(
            input_ids=inputs,
            attention_mask=mask,
            position_ids=lengths[:, None].to(self.student.device),
            use_cache=True,
            **{self.cache_argument: Cache(layers=list(self.layers))},
        )
        self.now += 1
        self.lengths = [n + 1 for n in self.lengths]
        finished = self._take(self.rows, out.logits[:, -1])
        replies, kept = [], []
        for place, row in enumerate(self.rows):
            if ended := finished[place]:
                replies.append(
                    reply_of(
                        row, ended, self.student, self._past(place) if row.request.keep else None
                    )
                )
            else:
                kept.append(place)
        if len(kept) < len(self.rows):
            self._keep(kept)
        return replies

    def _take(self, rows: list[Row], logits: Tensor) -> list[Any]:
        tokens, logprobs = choose(logits, rows, self.decoding)
        return [
            row.take(tokens[n], logprobs[n] if logprobs else None) for n, row in enumerate(rows)
        ]

    def _enter(self) -> list[Reply]:
        """Lets a group of waiting rows read what they have not read, and puts them beside the
        others."""
        group: list[Row] = []
        longest = 0
        while self.waiting and len(self.rows) + len(group) < self.batch_size:
            longest = max(longest, len(self.waiting[0].source))
            if group and longest * (len(group) + 1) > PREFILL_TOKENS:
                break
            group.append(self.waiting.popleft())
        logits, states = self._read(group)
        finished = self._take(group, logits)
        replies, staying = [], []
        for row, past, ended in zip(group, states, finished, strict=True):
            if ended:
                replies.append(
                    reply_of(row, ended, self.student, past if row.request.keep else None)
                )
            else:
                staying.append((row, past))
        if staying:
            self._seat(staying)
        return replies

    def _read(self, group: list[Row]) -> tuple[Tensor, list[Past]]:
        """Logits [rows, vocab] after each row's prompt, and all that each has read by then.

        Laid out as brought-along caches, right-aligned, then new tokens, right-aligned; the mask
        skips both paddings."""
        pasts: list[Past | None] = [row.request.past for row in group]
        old = [past.length if past else 0 for past in pasts]
        new = [len(row.source) for row in group]
        before, width = max(old), max(new)
        device = self.student.device
        ids = torch.full((len(group), width), self.student.pad_id)
        mask = torch.zeros(len(group), before + width, dtype=torch.long)
        positions = torch.zeros(len(group), width, dtype=torch.long)
        for n, row in enumerate(group):
            ids[n, width - new[n] :] = torch.as_tensor(row.source)
            mask[n, before - old[n] : before] = 1
            mask[n, before + width - new[n] :] = 1
            positions[n, width - new[n] :] = torch.arange(old[n], old[n] + new[n])
        layers = [
            DynamicLayer() for _ in range(self.model.config.get_text_config().num_hidden_layers)
        ]
        if before:
            self._bring(layers, pasts, before)
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            use_cache=True,
            logits_to_keep=1,
            **{self.cache_argument: Cache(layers=list(layers))},
        )
        keeps = [mask[n].nonzero().squeeze(1).to(device) for n in range(len(group))]
        states = [
            Past(
                tuple((_held(la.keys)[n, :, keep], _held(la.values)[n, :, keep]) for la in layers),
                len(keep),
            )
            for n, keep in enumerate(keeps)
        ]
        return out.logits[:, -1], states

    @staticmethod
    def _bring(layers: list[DynamicLayer], pasts: list[Past | None], before: int) -> None:
        some = next(past for past in pasts if past)
        for number, layer in enumerate(layers):
            keys, values = (
                s.new_zeros(len(pasts), s.shape[0], before, s.shape[2]) for s in some.states[number]
            )
            for n, past in enumerate(pasts):
                if past:
                    keys[n, :, before - past.length :] = past.states[number][0]
                    values[n, :, before - past.length :] = past.states[number][1]
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values

    def _seat(self, staying: list[tuple[Row, Past]]) -> None:
        """Widens the buffers by the new rows; their columns end where everyone's do."""
        longest = max(past.length for _, past in staying)
        if not self.rows:
            self.layers, self.now = [], longest
            for keys, values in staying[0][1].states:
                shape = (0, keys.shape[0], longest + SPARE_STEPS)
                layer = SlotLayer(
                    keys.new_zeros(*shape, keys.shape[2]), values.new_zeros(*shape, values.shape[2])
                )
                self.layers.append(layer)
        elif longest > self.now:
            self._move(longest - max(self.lengths))
        for number, layer in enumerate(self.layers):
            for which in (0, 1):
                buffer = layer.buffers[which]
                fresh = buffer.new_zeros(len(staying), *buffer.shape[1:])
                for n, (_, past) in enumerate(staying):
                    fresh[n, :, self.now - past.length : self.now] = past.states[number][which]
                layer.buffers[which] = torch.cat([buffer, fresh])
        self.rows += [row for row, _ in staying]
        self.lengths += [past.length for _, past in staying]

    def _move(self, front: int) -> None:
        """Moves what rows still see so that it begins at column `front`, with spare columns behind
        it."""
        width = max(self.lengths)
        for layer in self.layers:
            for which, buffer in enumerate(layer.buffers):
                fresh = buffer.new_zeros(
                    *buffer.shape[:2], front + width + SPARE_STEPS, buffer.shape[3]
                )
                fresh[:, :, front : front + width] = buffer[:, :, self.now - width : self.now]
                layer.buffers[which] = fresh
        self.now = front + width

    def _past(self, place: int) -> Past:
        first = self.now - self.lengths[place]
        states = tuple(
            (
                la.buffers[0][place, :, first : self.now].clone(),
                la.buffers[1][place, :, first : self.now].clone(),
            )
            for la in self.layers
        )
        return Past(states, self.lengths[place])

    def _keep(self, places: list[int]) -> None:
        self.rows, self.lengths = [self.rows[p] for p in places], [self.lengths[p] for p in places]
        for layer in self.layers:
            layer.buffers = [buffer[places] for buffer in layer.buffers]


def _held(states: Tensor | None) -> Tensor:
    assert states is not None, "a layer that was never updated"
    return states
