"""What fast forward passes share (`t5.py`, `llama.py`): products with weights that are laid out
once, and the root mean square norm."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Linear = Any
"""Tensor → tensor."""

LARGEST_COPY = 2**26
"""Numbers in the largest float32 weight that is copied for the sake of its layout (mT5's head has
twice that)."""


def norm(hidden: Tensor, eps: float) -> Tensor:
    """Root mean square norm without centring (T5, Sec. 2.1); its weight is folded into the product
    that follows."""
    if hidden.dtype is torch.float32:
        return hidden * torch.rsqrt(
            torch.linalg.vecdot(hidden, hidden) / hidden.shape[-1] + eps
        ).unsqueeze(-1)
    return F.rms_norm(hidden, hidden.shape[-1:], None, eps)  # sums in float32


def linear(weight: Tensor, dtype: torch.dtype, bias: Tensor | None = None) -> Linear:
    """x → x Wᵀ + bias in `dtype`. On a CPU the weight is laid out for the product once (a copy)
    instead of at every call."""
    weight = weight.detach().to(dtype)
    added = None if bias is None else bias.detach().to(dtype)
    if dtype is torch.float32 and weight.numel() > LARGEST_COPY:
        return lambda x: F.linear(x, weight, added)
    if weight.device.type == "cpu" and has_layouts(dtype):
        # what torch.compile's freezing does; there is no public name for it
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, added, "none", [], "")
    return lambda x: F.linear(x, weight, added)


def has_layouts(dtype: torch.dtype) -> bool:
    """Whether this CPU has products with weights laid out for them: in bfloat16 not without AVX-512
    or its like."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32
