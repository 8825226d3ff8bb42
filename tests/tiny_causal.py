"""Tiny causal models of any type that transformers knows, with random weights, and rows for them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from smallsteps.training.batches import Encoded

SHAPES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon": {"alibi": True, "new_decoder_architecture": False},
}
"""Names of sizes that differ from most models'."""
USUAL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "sliding_window": 16,
}


def causal_model(model_type: str) -> Any:
    """A tiny model with random weights; windows of 16 tokens, where there are windows."""
    sizes = SHAPES.get(model_type, {})
    shape = sizes if "n_layer" in sizes or "n_layers" in sizes else {**USUAL, **sizes}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if model_type in ("falcon", "opt"):
        del shape["num_key_value_heads"], shape["head_dim"], shape["sliding_window"]
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, vocab_size=99, **shape, **ends)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def causal_rows(lengths: tuple[int, ...] = (50, 40, 17, 33, 3)) -> list[Encoded]:
    """Rows longer than a window and shorter; the loss counts all but their first two tokens."""
    draw = torch.Generator().manual_seed(0)
    rows = []
    for length in lengths:
        ids = torch.randint(3, 99, (length,), generator=draw).tolist()
        rows.append(Encoded((), ids, [place > 1 for place in range(length)], ("a",)))
    return rows
