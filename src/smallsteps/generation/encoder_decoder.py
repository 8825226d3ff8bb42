"""The batches of encoder-decoder students: which row sits where, and when the next one enters.

`T5Session` keeps a fixed number of slots busy: a row that is done leaves at once, and the longest
waiting source takes its slot. Longest first puts sources of similar length beside each other, and
keeps the last rows of a run short. `CohortSession` is for models whose decoder counts absolute
positions (BART): rows start together and leave as they finish, then the next cohort starts.

Both are a `Session`: each `step` writes one token of every row. Not here: the arithmetic of a step
(`students/t5.py`), what follows a segment (`paths.py`)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from smallsteps.generation.caches import cache_argument
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.graph_t5 import GraphT5
from smallsteps.generation.sampling import ReplyRow, choose_tokens, finished_reply, new_rows
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner
from smallsteps.threads import on_decoding_threads

ENCODE_TOKENS = 8192
"""Maximum number of padded source tokens that are encoded at a time."""


class WaitingRows:
    """Rows without a slot, the longest source first, in order of arrival among equals."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, ReplyRow]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, row: ReplyRow) -> None:
        """Queues a row."""
        heapq.heappush(self._heap, (-len(row.source), self._count, row))
        self._count += 1

    def take(self, count: int) -> list[ReplyRow]:
        """The next `count` rows, fewer where fewer wait; they wait no longer."""
        return [heapq.heappop(self._heap)[2] for _ in range(min(count, len(self._heap)))]


def encoding_groups(rows: Sequence[ReplyRow]) -> Iterator[list[ReplyRow]]:
    """`rows`, longest source first, cut into groups that are encoded together: none has more than
    ENCODE_TOKENS with padding, and none pads a row to more than twice its length.

    Not `batches_by_length`: only attention runs on padding here, so that a batch of its own for
    each length would cost more than the padding."""
    group: list[ReplyRow] = []
    for row in rows:
        longest = len(group[0].source) if group else 0
        if group and (
            len(row.source) < 0.5 * longest or (len(group) + 1) * longest > ENCODE_TOKENS
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


class T5Session:
    """Continuous batching for T5 and mT5."""

    def __init__(
        self, student: Student, runner: T5Runner | GraphT5, decoding: Decoding, batch_size: int
    ) -> None:
        self.student, self.runner = student, runner
        self.decoding, self.batch_size = decoding, batch_size
        self.waiting = WaitingRows()
        self.active: dict[int, ReplyRow] = {}
        """Slot → its row."""
        self.slots = 0
        """Number of slots, with a row or empty."""

    def submit(self, request: Request) -> None:
        """Queues a request; it enters at the next step that has a free slot."""
        for row in new_rows(request, self.student, self.decoding):
            self.waiting.add(row)

    @property
    def idle(self) -> bool:
        return not self.active and not self.waiting

    @on_decoding_threads
    @torch.inference_mode()
    def step(self) -> list[Reply]:
        """One token for every row; the replies that are done."""
        self._fill()
        if not self.active:
            return []
        slots = sorted(self.active)
        rows = [self.active[slot] for slot in slots]
        inputs = [0] * self.slots
        for slot, row in zip(slots, rows, strict=True):
            inputs[slot] = self._last_token(row)
        logits = self.runner.step(inputs, slots)
        if len(slots) < self.slots:
            logits = logits[slots]
        tokens, logprobs = choose_tokens(logits, rows, self.decoding)
        replies, emptied = [], []
        for place, (slot, row) in enumerate(zip(slots, rows, strict=True)):
            if finished := row.take(tokens[place], logprobs[place] if logprobs else None):
                replies.append(finished_reply(row, finished, self.student))
                emptied.append(slot)
                del self.active[slot]
        if emptied:
            self.runner.leave(emptied)
        return replies

    def _last_token(self, row: ReplyRow) -> int:
        """What the row's decoder reads next."""
        start = self.student.start_id
        assert start is not None, "an encoder-decoder has a start token"
        return row.written[-1] if row.written else start

    def _fill(self) -> None:
        """Lets waiting rows enter free slots, and drops slots that stay empty at the end."""
        if not self.active and self.slots < min(self.batch_size, len(self.waiting)):
            self.slots = min(self.batch_size, len(self.waiting))
            self.runner.open(self.slots)
        wanted = min(self.batch_size, len(self.active) + len(self.waiting))
        if self.slots < wanted:  # what is submitted between two steps joins the next
            self.runner.grow(wanted)
            self.slots = wanted
        free = [slot for slot in range(self.slots) if slot not in self.active]
        for group in encoding_groups(self.waiting.take(len(free))):
            # samples of one question share their source
            sources = list(dict.fromkeys(row.source for row in group))
            keys_values = dict(zip(sources, self.runner.encode(sources), strict=True))
            slots, free = free[: len(group)], free[len(group) :]
            self.runner.enter(slots, [keys_values[row.source] for row in group])
            self.active.update(zip(slots, group, strict=True))
        if self.active and len(self.active) <= 0.75 * self.slots:
            kept = sorted(self.active)
            self.runner.keep(kept)
            self.active = {place: self.active[slot] for place, slot in enumerate(kept)}
            self.slots = len(kept)


class CohortSession:
    """Rows that start together and leave as they finish, through the modules of transformers."""

    def __init__(self, student: Student, model: Any, decoding: Decoding, batch_size: int) -> None:
        self.student, self.model = student, model
        self.decoding, self.batch_size = decoding, batch_size
        self.cache_argument = cache_argument(model)
        self.waiting = WaitingRows()
        self.rows: list[ReplyRow] = []
        # of `rows`: the decoder's next inputs, the mask of their sources, the encoder's output
        self.inputs = self.mask = self.encoded = torch.empty(0, dtype=torch.long)
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def submit(self, request: Request) -> None:
        """Queues a request for the next cohort."""
        for row in new_rows(request, self.student, self.decoding):
            self.waiting.add(row)

    @property
    def idle(self) -> bool:
        return not self.rows and not self.waiting

    @on_decoding_threads
    @torch.inference_mode()
    def step(self) -> list[Reply]:
        """One token for every row of the cohort; the replies that are done."""
        if not self.rows:
            if not self.waiting:
                return []
            self._start()
        out = self.model(
            decoder_input_ids=self.inputs,
            encoder_outputs=BaseModelOutput(self.encoded),
            attention_mask=self.mask,
            use_cache=True,
            **{self.cache_argument: self.cache},
        )
        tokens, logprobs = choose_tokens(out.logits[:, -1], self.rows, self.decoding)
        replies, kept = [], []
        for place, row in enumerate(self.rows):
            if finished := row.take(tokens[place], logprobs[place] if logprobs else None):
                replies.append(finished_reply(row, finished, self.student))
            else:
                kept.append(place)
        last = [row.written[-1] for row in self.rows]
        self.inputs = torch.tensor(last, device=self.student.device)[:, None]
        if len(kept) < len(self.rows):
            self._keep(torch.tensor(kept, dtype=torch.long, device=self.student.device))
            self.rows = [self.rows[place] for place in kept]
        return replies

    def _start(self) -> None:
        """Encodes the sources of the next cohort."""
        self.rows = self.waiting.take(self.batch_size)
        device = self.student.device
        ids, mask = pad([row.source for row in self.rows], fill=self.student.pad_id)
        ids, self.mask = ids.to(device), mask.to(device)
        self.encoded = self.model.get_encoder()(input_ids=ids, attention_mask=self.mask)[0]
        # <s>, where this architecture's targets begin with one, is given and not written
        head = [self.student.start_id, *self.student.target_head]
        self.inputs = torch.tensor([head] * len(self.rows), device=device)
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def _keep(self, places: Tensor) -> None:
        """Only the rows at these places stay."""
        self.inputs, self.mask = self.inputs[places], self.mask[places]
        self.encoded = self.encoded[places]
        self.cache.batch_select_indices(places)
