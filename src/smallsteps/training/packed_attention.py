"""Attention in packed sequences (`packing.py`): each row to itself.

Imported where rows are packed: torch's attention for rows of different lengths brings torch's
compiler, which takes seconds to load."""

from __future__ import annotations

from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

try:
    from torch.nn.attention.varlen import varlen_attn

    VARLEN = frozenset(signature(varlen_attn).parameters)
    """What torch's attention to packed rows can be told; empty before torch 2.10."""
except ImportError:
    VARLEN = frozenset()


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of each row to itself: [1, tokens, heads, width].

    query: [1, heads, tokens, width]; key and value may have fewer heads. cu_seq_lens_q: int32
    [rows + 1], where rows begin. sliding_window: tokens that each sees, itself included."""
    before = -1 if sliding_window is None else sliding_window - 1
    if query.device.type != "cuda":
        return _under_mask(query, key, value, scaling, before, cu_seq_lens_q), None
    return _in_kernel(query, key, value, scaling, before, cu_seq_lens_q, max_length_q), None


def _under_mask(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, before: int, starts: Tensor
) -> Tensor:
    """Attention by a mask over all pairs of tokens."""
    visible = _visible(starts, query.shape[2], before)
    grouped = query.shape[1] != key.shape[1]
    read = F.scaled_dot_product_attention(
        query, key, value, visible, scale=scaling, enable_gqa=grouped
    )
    return read.transpose(1, 2)


def _in_kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    before: int,
    starts: Tensor,
    longest: int,
) -> Tensor:
    """Attention by torch's kernel, in the precision of autocast: it knows no float32."""
    device_type = query.device.type
    dtype = query.dtype
    if torch.is_autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    query, key, value = (part[0].transpose(0, 1).to(dtype) for part in (query, key, value))
    groups = query.shape[1] // key.shape[1]
    further: dict[str, Any] = {}
    if groups > 1 and "enable_gqa" in VARLEN:
        further = {"enable_gqa": True}
    elif groups > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    read: Any = varlen_attn(
        query,
        key,
        value,
        starts,
        starts,
        longest,
        longest,
        scale=scaling,
        window_size=(before, 0),
        **further,
    )
    return cast(Tensor, read[None])


def _visible(starts: Tensor, tokens: int, before: int) -> Tensor:
    """bool [tokens, tokens]: itself and earlier tokens of its row, at most `before` back (-1:
    all)."""
    places = torch.arange(tokens, device=starts.device)
    row = torch.searchsorted(starts[1:], places, right=True, out_int32=True)
    back = places[:, None] - places[None, :]
    visible = (row[:, None] == row[None, :]) & (back >= 0)
    return visible if before < 0 else visible & (back <= before)
