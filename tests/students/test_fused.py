"""Products and norm of the fast passes: the same numbers as torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from smallsteps.students import fused
from smallsteps.students.fused import has_layouts, linear, norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("largest", [2**26, 0])
def test_a_product_with_a_weight_laid_out_anew(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, with_bias: bool, largest: int
) -> None:
    monkeypatch.setattr(fused, "LARGEST_COPY", largest)
    weight, x = torch.randn(6, 5), torch.randn(3, 5).to(dtype)
    bias = torch.randn(6) if with_bias else None
    with torch.inference_mode():
        product = linear(weight, dtype, bias)(x)
    wanted = F.linear(x.float(), weight, bias)
    assert product.dtype is dtype
    assert (product.float() - wanted).abs().max() < (1e-5 if dtype is torch.float32 else 0.1)


def test_a_cpu_that_cannot_lay_out_a_weight_in_bfloat16_computes_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert has_layouts(torch.float32) and not has_layouts(torch.float64)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not has_layouts(torch.bfloat16)
    weight, x = torch.randn(6, 5), torch.randn(3, 5).bfloat16()
    assert torch.equal(linear(weight, torch.bfloat16)(x), F.linear(x, weight.bfloat16()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_norm_is_that_of_the_root_mean_square(dtype: torch.dtype) -> None:
    x = (torch.randn(3, 8) * 5).to(dtype)
    wanted = F.rms_norm(x.float(), (8,), None, 1e-6)
    assert (norm(x, 1e-6).float() - wanted).abs().max() < (1e-5 if dtype is torch.float32 else 0.02)
