"""A decoder step of `T5Runner`'s weights over rows in fixed seats: no shape depends on the lengths
of rows, so that the step can be recorded once and repeated (`generation/graph_t5.py`).

Each row begins at column 0 of its seat, unlike the rows of `T5Runner.step`, which share one time
axis."""

from __future__ import annotations

import torch
from torch import Tensor

from smallsteps.students.fused import norm
from smallsteps.students.t5 import T5Runner, attend_one


def step_seats(
    runner: T5Runner,
    tokens: Tensor,
    written: Tensor,
    read: Tensor,
    past: Tensor,
    cross: Tensor,
    bias: Tensor,
) -> Tensor:
    """Logits [rows, vocab] after each row has read its token, whose keys and values are written
    into `past` at the column `written`.

    `tokens`, `written` (steps before this one) and `read` (source length > 0): [rows]. `past`
    [layers, 2, rows, heads, columns, d_kv], `cross` [layers, 2, rows, heads, source, d_kv]. `bias`:
    `bias_by_distance` of all columns."""
    rows = torch.arange(len(tokens), device=tokens.device)
    distance = written[:, None] - torch.arange(past.shape[4], device=tokens.device)
    mask = bias[:, distance.clamp(min=0)].transpose(0, 1)
    mask = mask.masked_fill((distance < 0)[:, None], -torch.inf)[:, :, None]
    beyond = torch.arange(cross.shape[4], device=tokens.device) >= read[:, None]
    unread = torch.zeros(beyond.shape, dtype=runner.dtype, device=tokens.device)
    unread = unread.masked_fill_(beyond, -torch.inf)[:, None, None]
    hidden = runner.embedding[tokens]
    for layer, (keys, values), (cross_keys, cross_values) in zip(
        runner.decoder, past, cross, strict=True
    ):
        fused = layer.qkv(norm(hidden, runner.eps)).view(len(rows), 3, runner.heads, runner.d_kv)
        query, key, value = fused.unbind(1)
        keys[rows, :, written] = key
        values[rows, :, written] = value
        attended = attend_one(query[:, :, None], keys, values, mask)
        hidden = hidden + layer.out(attended.flatten(1))
        query = layer.cross_q(norm(hidden, runner.eps)).view(len(rows), runner.heads, 1, -1)
        attended = attend_one(query, cross_keys, cross_values, unread)
        hidden = hidden + layer.cross_out(attended.flatten(1))
        hidden = layer.feed_forward(hidden, runner.eps, runner.act)
    return runner.head(norm(hidden, runner.eps))


def bias_by_distance(runner: T5Runner, columns: int) -> Tensor:
    """The bias to what was read so many steps ago, [heads, columns]; 0 is the present step."""
    return runner.bias_of_steps(columns).flip(1)
