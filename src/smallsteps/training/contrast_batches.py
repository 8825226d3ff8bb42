"""Contrast items as tensors: a, p and n share their question, so it is read once.

An encoder-decoder's encoder runs once for the three. A causal model reads `question a p n` as one
sequence, in which each of the three sees the question and itself, never another one, at positions
that go on from the question. (In the authors' code p and n read a's cache where caches grow, so
that the three see each other, and all attend to padding.)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smallsteps.students.batching import batch_overhead, batches_by_length
from smallsteps.students.padding import pad
from smallsteps.training.batches import moved
from smallsteps.training.contrast import ContrastItem

QUESTION, NOTHING = 0, -1
"""What a causal token belongs to, beside 1, 2, 3 for a, p, n."""


class ContrastBatch(NamedTuple):
    """The tensors of some items.

    With I items of P rationales each, rationale number `part * I + item` is the item's part. What
    the decoder (causal: the model) reads lies in groups of rows; a place counts through the tokens
    of all groups, one group after another."""

    source: Tensor | None
    """int64 [I or P * I, source]: what the encoder reads; None: causal."""
    source_mask: Tensor | None
    """int64 like `source`, 1 on real tokens."""
    inputs: tuple[Tensor, ...]
    """int64 [rows, width] per group. Encoder-decoder: a row per rationale with its end, those of
    like length in a group. Causal: one group with a row per item, question first."""
    mask: tuple[Tensor, ...]
    """Encoder-decoder: int64 like `inputs`. Causal: bool [I, 1, length, length], what each token
    may see."""
    source_rows: tuple[Tensor, ...]
    """Encoder-decoder: int64 [rows] per group, the row of `source` that each row reads."""
    positions: Tensor | None
    """Causal: int64 like `inputs`."""
    owner: Tensor
    """int64 [places]: the rationale that the token belongs to; -1: none."""
    ends: Tensor
    """int64 [P, I]: place of the last token of each rationale."""
    labels: Tensor
    """int64 [counted]: tokens to predict: of anchors, of prompts with a weight, and in pairs of the
    wrong rationales."""
    places: Tensor
    """int64 [counted]: the places that predict them. The last place of a causal question predicts
    the first token of each rationale."""
    weights: Tensor
    """float32 [counted]: weight in the language-model loss; 0 for wrong rationales."""
    predicted: Tensor
    """int64 [counted]: the rationale that each label belongs to; -1: a prompt."""

    def to(self, device: torch.device) -> ContrastBatch:
        """The batch on `device`."""
        return ContrastBatch(*(moved(part, device) for part in self))


def collate_pairs(
    items: Sequence[ContrastItem],
    start_id: int,
    device_type: str = "cpu",
    one_pass: bool = False,
) -> ContrastBatch:
    """Items for an encoder-decoder, whose decoder starts with `start_id`, on the CPU; cut for a
    device of this type. one_pass: rationales of all lengths go through the decoder at once."""
    parts = len(items[0].rationales)
    rows = [item.rationales[part] for part in range(parts) for item in items]
    one_source = all(
        rationale.source == item.rationales[0].source
        for item in items
        for rationale in item.rationales
    )
    source, source_mask = pad([row.source for row in (rows[: len(items)] if one_source else rows)])
    sizes = [(0, 1 + len(row.target)) for row in rows]
    groups = batches_by_length(sizes, overhead=batch_overhead(device_type))
    if one_pass:
        groups = [list(range(len(rows)))]
    padded = [pad([(start_id, *rows[number].target) for number in group]) for group in groups]
    source_rows = [
        torch.tensor([number % len(items) if one_source else number for number in group])
        for group in groups
    ]
    starts = torch.zeros(len(rows), dtype=torch.long)  # place of each rationale's decoder start
    places_so_far = 0
    for group, (inputs, _) in zip(groups, padded, strict=True):
        starts[group] = places_so_far + inputs.shape[1] * torch.arange(len(group))
        places_so_far += inputs.numel()
    owner = torch.full((places_so_far,), NOTHING)
    learnt_parts = {0, 1} if parts == 2 else {0}
    labels: list[int] = []
    places: list[int] = []
    predicted: list[int] = []
    for number, (row, start) in enumerate(zip(rows, starts.tolist(), strict=True)):
        owner[start + 1 : start + 1 + len(row.target)] = number
        if number // len(items) in learnt_parts:
            labels += row.target
            places += range(start, start + len(row.target))
            predicted += [number] * len(row.target)
    ends = starts + torch.tensor([len(row.target) for row in rows])
    rationale_of_label = torch.tensor(predicted)
    return ContrastBatch(
        source=source,
        source_mask=source_mask,
        inputs=tuple(inputs for inputs, _ in padded),
        mask=tuple(mask for _, mask in padded),
        source_rows=tuple(source_rows),
        positions=None,
        owner=owner,
        ends=ends.view(parts, -1),
        labels=torch.tensor(labels),
        places=torch.tensor(places),
        weights=(rationale_of_label < len(items)).float(),
        predicted=rationale_of_label,
    )


def collate_sequences(items: Sequence[ContrastItem], prompt_weight: float = 0.0) -> ContrastBatch:
    """Items for a causal model: one sequence each, `question a p n`. prompt_weight: of a question's
    token in the language-model loss."""
    parts = len(items[0].rationales)
    inputs, real = pad([(*item.source, *item.target) for item in items])
    length = inputs.shape[1]
    part = torch.full(inputs.shape, NOTHING)
    owner = torch.full(inputs.shape, NOTHING)
    positions = torch.zeros_like(inputs)
    ends = torch.zeros(parts, len(items), dtype=torch.long)
    labels: list[int] = []
    places: list[int] = []
    weights: list[float] = []
    predicted: list[int] = []
    for row, item in enumerate(items):
        question = len(item.source)
        row_start = row * length  # place of the row's first token
        part[row, :question] = QUESTION
        positions[row, :question] = torch.arange(question)
        if prompt_weight:
            labels += item.source[1:]
            places += range(row_start, row_start + question - 1)
            weights += [prompt_weight] * (question - 1)
            predicted += [NOTHING] * (question - 1)
        start = question
        for number, rationale in enumerate(item.rationales):
            count = len(rationale.target)
            end = start + count
            part[row, start:end] = number + 1
            owner[row, start:end] = number * len(items) + row
            positions[row, start:end] = torch.arange(question, question + count)
            ends[number, row] = row_start + end - 1
            if number == 0 or parts == 2:
                labels += rationale.target
                places.append(row_start + question - 1)
                places += range(row_start + start, row_start + end - 1)
                weights += [float(number == 0)] * count
                predicted += [number * len(items) + row] * count
            start = end
    return ContrastBatch(
        source=None,
        source_mask=None,
        inputs=(inputs,),
        mask=(_visible(part, real)[:, None],),
        source_rows=(),
        positions=positions,
        owner=owner.flatten(),
        ends=ends,
        labels=torch.tensor(labels),
        places=torch.tensor(places),
        weights=torch.tensor(weights),
        predicted=torch.tensor(predicted),
    )


def _visible(part: Tensor, real: Tensor) -> Tensor:
    """bool [items, length, length]: earlier tokens of the question and of the same rationale, and
    each token itself (so that padding has something to attend to)."""
    length = part.shape[1]
    before = torch.ones(length, length, dtype=torch.bool).tril()
    allowed = (part[:, :, None] == part[:, None, :]) | (part[:, None, :] == QUESTION)
    return before & allowed & real.bool()[:, None, :] | torch.eye(length, dtype=torch.bool)
