"""The training loss: cross-entropy summed over counted target tokens, with a vocabulary head that
stays small in memory.

The model's own `labels=` path averages over a padded batch and builds logits for every position.
Here the head runs only on the positions that are counted, in pieces that are recomputed in the
backward pass where the whole would be large, so that a vocabulary of 250,112 (mT5) costs no more
than the limit below. No label smoothing. Sums, never means: the caller divides by the one
normaliser of the update, which makes micro-batches, processes and packed chains add up exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from smallsteps.training.batches import Batch

HEAD_ELEMENTS = 2**26
"""Logits (counted positions x vocabulary) that may exist at once: 256 MiB in float32."""

PLAIN_HEADS = frozenset(
    {"t5", "mt5", "umt5", "longt5"}
    | {
        "llama",
        "qwen2",
        "qwen3",
        "mistral",
        "gpt2",
        "gpt_neox",
        "phi",
        "phi3",
        "smollm3",
        "olmo2",
        "opt",
        "stablelm",
    }
)
"""Model types whose logits are the head's output and nothing more (no bias, cap or scale after it);
others go through their own forward whole."""


class SummedLoss(nn.Module):
    """A model with its loss inside: what `Trainer` sees, and what distributed wrappers wrap.

    forward(batch) → scalar float32: the summed cross-entropy (nats) over the counted target tokens
    of `batch`."""

    def __init__(
        self,
        model: nn.Module,
        dtype: torch.dtype = torch.float32,
        head_elements: int = HEAD_ELEMENTS,
    ) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.head_elements = head_elements

    def forward(self, batch: Batch) -> Tensor:
        device_type = batch.inputs.device.type
        with torch.autocast(device_type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            hidden, head = counted_states(self.model, batch)
            return summed_cross_entropy(
                hidden, head, batch.labels, self.head_elements, batch.weights
            )


def counted_states(model: nn.Module, batch: Batch) -> tuple[Tensor, nn.Module]:
    """What the vocabulary head reads at each counted position, [counted, width], and the head.

    Models whose head we do not know are asked for their logits; the head is then the identity.
    """
    inputs: dict[str, Any] = {"input_ids": batch.inputs, "attention_mask": batch.inputs_mask}
    if batch.source is not None:
        inputs = {
            "input_ids": batch.source,
            "attention_mask": batch.source_mask,
            "decoder_input_ids": batch.inputs,
            "decoder_attention_mask": batch.inputs_mask,
        }
    read, head = peeked(model, **inputs)
    return read[batch.counted], head


def peeked(model: nn.Module, **inputs: Any) -> tuple[Tensor, nn.Module]:
    """What the vocabulary head would read at every position, [rows, positions, width], and the
    head, which is not run.

    Models whose head we do not know give their logits instead; the head is then the identity.
    """
    base: Any = model
    if hasattr(base, "get_base_model"):  # LoRA: the adapters sit inside the layers
        base = base.get_base_model()
    head = base.get_output_embeddings()
    if base.config.model_type not in PLAIN_HEADS or head is None:
        return model(**inputs, use_cache=False).logits, nn.Identity()
    seen: list[Tensor] = []

    def peek(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # what is read here includes any scaling before the head; one position is let through and
        # thrown away
        seen.append(args[0])
        return (args[0][:, :1], *args[1:])

    hook = head.register_forward_pre_hook(peek)
    try:
        model(**inputs, use_cache=False)
    finally:
        hook.remove()
    return seen[0], head


def summed_cross_entropy(
    hidden: Tensor,
    head: nn.Module,
    labels: Tensor,
    head_elements: int = HEAD_ELEMENTS,
    weights: Tensor | None = None,
) -> Tensor:
    """Sum over positions of the cross-entropy of `head(hidden)` against `labels`, float32 scalar.

    hidden: [counted, width]; labels: int64 [counted]; weights: float32 [counted], None:
    one each. At most about `head_elements` logits exist at once, forward and
    backward.
    """
    width = (
        getattr(head, "out_features", None)
        or getattr(getattr(head, "weight", None), "shape", (1,))[0]
    )
    rows = max(1, head_elements // max(1, width))
    if len(labels) <= rows or isinstance(head, nn.Identity):
        return _piece(hidden, head, labels, weights)
    total = torch.zeros((), device=hidden.device)
    for start in range(0, len(labels), rows):
        part = slice(start, start + rows)
        own = None if weights is None else weights[part]
        total = total + checkpoint(
            _piece, hidden[part], head, labels[part], own, use_reentrant=False
        )
    return total


def _piece(hidden: Tensor, head: nn.Module, labels: Tensor, weights: Tensor | None) -> Tensor:
    logits = head(hidden)
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    if weights is None:
        return F.cross_entropy(logits, labels, reduction="sum")
    return F.cross_entropy(logits, labels, reduction="none") @ weights
