"""The name of the cache argument: what the installed transformers calls it, on real modules."""

from __future__ import annotations

import warnings

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache

from smallsteps.generation.caches import cache_argument


def _llama() -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=16,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
        )
    )


def _bart() -> BartForConditionalGeneration:
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=16,
            d_model=8,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=1,
            decoder_attention_heads=1,
            encoder_ffn_dim=8,
            decoder_ffn_dim=8,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
        )
    )


@pytest.mark.parametrize("make", [_llama, _bart])
def test_the_installed_transformers_takes_the_cache_by_this_name_without_a_warning(make):
    model = make().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ids = torch.tensor([[1, 2, 3]])
        out = model(input_ids=ids, use_cache=True, **{cache_argument(model): None})
    assert out.logits.shape[:2] == (1, 3)


def test_a_cache_given_by_this_name_is_filled():
    model, cache = _llama().eval(), DynamicCache()
    model(input_ids=torch.tensor([[1, 2, 3]]), use_cache=True, **{cache_argument(model): cache})
    assert cache.get_seq_length() == 3
