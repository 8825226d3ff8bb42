"""Attention in packed sequences, as torch's kernel and as a mask say it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from smallsteps.training import packed_attention


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("before", [-1, 3])
def test_the_kernel_is_told_what_the_mask_says(before, grouped, monkeypatch):
    """By a stand-in for the kernel, which needs a GPU: one row after another."""
    seen = []

    def kernel(query, key, value, starts, starts_of_keys, longest, longest_key, **further):
        seen.append((query.dtype, further.get("enable_gqa", False), longest))
        assert further["window_size"] == (before, 0) and starts is starts_of_keys
        out = []
        for start, end in pairwise(starts.tolist()):
            parts = [part[start:end].transpose(0, 1)[None] for part in (query, key, value)]
            back = torch.arange(end - start)[:, None] - torch.arange(end - start)[None]
            visible = (back >= 0) & ((back <= before) if before >= 0 else True)
            out.append(
                torch.nn.functional.scaled_dot_product_attention(
                    *parts,
                    visible,
                    scale=further["scale"],
                    enable_gqa=further.get("enable_gqa", False),
                )[0].transpose(0, 1)
            )
        return torch.cat(out)

    monkeypatch.setattr(packed_attention, "varlen_attn", kernel, raising=False)
    known = {"window_size", "scale", *(["enable_gqa"] if grouped else [])}
    monkeypatch.setattr(packed_attention, "VARLEN", known)
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 12, 8) for heads in (4, 2, 2))
    starts = torch.tensor([0, 5, 6, 12], dtype=torch.int32)
    wanted = packed_attention._under_mask(query, key, value, 0.3, before, starts)
    found = packed_attention._in_kernel(query, key, value, 0.3, before, starts, 6)
    torch.testing.assert_close(found, wanted)
    assert seen == [(torch.float32, grouped, 6)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        packed_attention._in_kernel(query, key, value, 0.3, before, starts, 6)
    assert seen[1][0] is torch.bfloat16


@pytest.mark.skipif("window_size" not in packed_attention.VARLEN, reason="torch is too old")
def test_torchs_kernel_takes_what_it_is_given():
    """Shapes and types alone, forward and backward: there is no GPU here."""
    with FakeTensorMode():
        query, key, value = (
            torch.empty(1, heads, 12, 64, requires_grad=True) for heads in (9, 3, 3)
        )
        starts = torch.empty(3, dtype=torch.int32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            read = packed_attention._in_kernel(query, key, value, 0.125, -1, starts, 7)
        assert read.shape == (1, 12, 9, 64) and read.dtype is torch.bfloat16
        read.float().sum().backward()
        assert query.grad.shape == query.shape and key.grad.shape == key.shape
