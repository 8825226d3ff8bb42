"""What can be said about a model's weights without its tokenizer: LoRA adapters and digests."""

from __future__ import annotations

import copy
import hashlib
import warnings
from typing import Any

import torch

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}
"""Name on the command line and in recipes → torch dtype."""

RELATIVE_POSITIONS = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "pop2piano"}
"""Model types with relative positions: their config states no maximum length. All are T5s, whose
activations overflow in fp16."""


def has_adapters(model: Any) -> bool:
    """Whether `model` is wrapped in LoRA adapters."""
    return hasattr(model, "merge_and_unload")


def merged(model: Any) -> Any:
    """A copy of `model` with its LoRA adapters merged into the weights. Without LoRA: `model`."""
    if not has_adapters(model):
        return model
    with warnings.catch_warnings():
        # Flan-T5's config says tied, but its weights are not; peft notices here and corrects the
        # copy's config
        warnings.filterwarnings(
            "ignore", message="Input and output embeddings are no longer tied", category=UserWarning
        )
        whole = copy.deepcopy(model).merge_and_unload()
    if _head_is_an_embedding(whole):  # T5Gemma: that of its decoder, where peft does not look
        whole.config.tie_word_embeddings = base_model(model).config.tie_word_embeddings
    return whole


def _head_is_an_embedding(model: Any) -> bool:
    """Whether the vocabulary head has the weights of any embedding of the model."""
    head = model.get_output_embeddings()
    return head is not None and any(
        part.weight.data_ptr() == head.weight.data_ptr()
        for part in model.modules()
        if isinstance(part, torch.nn.Embedding)
    )


def base_model(model: Any) -> Any:
    """The transformers model itself; LoRA adapters stay inside its layers."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def weights_digest(model: torch.nn.Module) -> str:
    """Fingerprint of the weights: SHA-256 over the shape and about 64 numbers of every tensor."""
    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        flat = value.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // 64)].float().cpu().numpy()
        digest.update(f"{name} {tuple(value.shape)}".encode() + sample.tobytes())
    return digest.hexdigest()
