"""The training loss: cross-entropy summed over counted target tokens.

The model's own `labels=` path averages over a padded batch and computes logits at every position.
Here the vocabulary head runs on counted positions only (`students/lm_head.py`). No label smoothing.
Sums, never means: the caller divides by the one normaliser of the update, so that micro-batches,
processes and packed chains add up exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from smallsteps.students.lm_head import HEAD_ELEMENTS, head_inputs, summed_cross_entropy
from smallsteps.students.weights import base_model
from smallsteps.training.batches import Batch
from smallsteps.training.packing import packed_inputs

UNMASKED = frozenset(
    {"llama", "qwen2", "qwen3", "mistral", "gpt2", "gpt_neox", "phi", "phi3", "smollm3", "olmo2"}
    | {"opt", "stablelm", "gemma", "gemma2", "bloom", "falcon", "mpt"}
)
"""Causal model types that are trained without a mask on a GPU. Padding lies on the right, where no
earlier token sees it and no loss is counted. Without a mask, attention can use its fast kernels
(flash attention), which know causality but no other mask."""


class SummedLoss(nn.Module):
    """A model with its loss inside: what `Trainer` sees, and what distributed wrappers wrap.

    forward(batch) → scalar float32: the summed cross-entropy (nats) over the counted target tokens
    of `batch`."""

    def __init__(
        self,
        model: nn.Module,
        dtype: torch.dtype = torch.float32,
        head_elements: int = HEAD_ELEMENTS,
        compile_head: bool = False,
    ) -> None:
        """compile_head: of passes with a gradient."""
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.head_elements = head_elements
        self.compile_head = compile_head

    def forward(self, batch: Batch) -> Tensor:
        device_type = batch.inputs.device.type
        with torch.autocast(device_type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            hidden, head = counted_states(self.model, batch)
            return summed_cross_entropy(
                hidden,
                head,
                batch.labels,
                self.head_elements,
                batch.weights,
                compiled=self.compile_head and torch.is_grad_enabled(),
            )


def needs_no_mask(model: nn.Module, device_type: str) -> bool:
    """Whether right-padded rows of a causal model go through it without a mask. On a CPU the mask
    stays: there it costs little, and without it sums are rounded otherwise."""
    return device_type != "cpu" and base_model(model).config.model_type in UNMASKED


def counted_states(model: nn.Module, batch: Batch) -> tuple[Tensor, nn.Module]:
    """(what the vocabulary head reads at each counted position [counted, width], the head); see
    `head_inputs`."""
    if batch.packed is not None:
        hidden, head = head_inputs(model, **packed_inputs(batch))
        return hidden[0, batch.places], head
    inputs: dict[str, Any] = {"input_ids": batch.inputs, "attention_mask": batch.inputs_mask}
    if batch.source is None and needs_no_mask(model, batch.inputs.device.type):
        del inputs["attention_mask"]
    if batch.source is not None:
        inputs = {
            "input_ids": batch.source,
            "attention_mask": batch.source_mask,
            "decoder_input_ids": batch.inputs,
            "decoder_attention_mask": batch.inputs_mask,
        }
    hidden, head = head_inputs(model, **inputs)
    # indices, not a mask: the host need not wait for the number of counted positions
    return hidden.flatten(0, 1)[batch.places], head
