"""Passes of `LlamaRunner`'s weights over rows in fixed seats: no shape depends on the lengths of
rows, so that a step can be recorded once and repeated (`generation/graph_model.py`).

States are keys and values of all layers, [layers, 2, rows, heads, columns, d]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from smallsteps.students.llama import LlamaRunner, attend


def step_seats(
    runner: LlamaRunner,
    tokens: Tensor,
    lengths: Tensor,
    states: Tensor,
    angles: tuple[Tensor, Tensor],
) -> Tensor:
    """Logits [rows, vocab] after each row has read its token, which is written into `states` at its
    length. `tokens`, `lengths` [rows]; `angles`: `table` of at least as many columns."""
    hidden = runner.embedding[tokens]
    cos, sin = (part[lengths] for part in angles)
    seats = torch.arange(len(tokens), device=tokens.device)
    columns = torch.arange(states.shape[4], device=tokens.device)
    unseen = columns > lengths[:, None]
    bias = torch.zeros(unseen.shape, device=tokens.device).masked_fill_(unseen, -torch.inf)
    bias = bias[:, None, None]
    for layer, (keys, values) in zip(runner.layers, states, strict=True):
        queries, new_keys, new_values = layer.project(hidden, cos, sin)
        keys[seats, :, lengths] = new_keys
        values[seats, :, lengths] = new_values
        hidden = layer.finish(hidden, attend(queries, keys, values, bias))
    return runner.logits(hidden)


def table(runner: LlamaRunner, columns: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the first positions, [columns, 1, d / 2] each."""
    return runner.angles(torch.arange(columns, device=runner.embedding.device))


def read_seats(
    runner: LlamaRunner, ids: Tensor, lengths: Tensor, starts: Tensor, past: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(logits [rows, vocab] after each row's last token, states of all that the rows have read).

    `ids` [rows, tokens], left-aligned, of which a row has `lengths` [rows] > 0. `past`: states of
    what each row has read before, right-aligned; a row has `starts` [rows] of its columns. None:
    nothing. The new tokens' columns stand behind those of `past`."""
    rows, width = ids.shape
    before = 0 if past is None else past.shape[4]
    positions = starts[:, None] + torch.arange(width, device=ids.device)
    hidden = runner.embedding[ids.flatten()]
    cos, sin = runner.angles(positions.flatten())
    mask = None if past is None else _mask(starts, before, width)
    read: list[Tensor] = []
    for number, layer in enumerate(runner.layers):
        queries, keys, values = layer.project(hidden, cos, sin)
        new = torch.stack([keys, values]).unflatten(1, (rows, width)).transpose(2, 3)
        states = new if past is None else torch.cat([past[number], new], 3)
        read.append(states)
        all_keys, all_values = states.repeat_interleave(queries.shape[2], 2)
        attended = F.scaled_dot_product_attention(
            queries.unflatten(0, (rows, width)).permute(0, 2, 3, 1, 4).flatten(1, 2),
            all_keys,
            all_values,
            attn_mask=mask,
            is_causal=mask is None,
            scale=1.0,
        )
        attended = attended.transpose(1, 2).flatten(0, 1).unflatten(1, queries.shape[1:3])
        hidden = layer.finish(hidden, attended)
    last = hidden.unflatten(0, (rows, width))[torch.arange(rows, device=ids.device), lengths - 1]
    return runner.logits(last), torch.stack(read)


def _mask(starts: Tensor, before: int, width: int) -> Tensor:
    """Which columns each new token sees, [rows, 1, width, before + width]."""
    columns = torch.arange(before + width, device=starts.device)
    places = before + torch.arange(width, device=starts.device)
    seen = (columns <= places[:, None]) & (columns >= before - starts[:, None, None])
    return seen[:, None]
