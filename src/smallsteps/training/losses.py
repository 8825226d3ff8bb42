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
from smallsteps.training.batches import Batch


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
    """(what the vocabulary head reads at each counted position [counted, width], the head); see
    `head_inputs`."""
    inputs: dict[str, Any] = {"input_ids": batch.inputs, "attention_mask": batch.inputs_mask}
    if batch.source is not None:
        inputs = {
            "input_ids": batch.source,
            "attention_mask": batch.source_mask,
            "decoder_input_ids": batch.inputs,
            "decoder_attention_mask": batch.inputs_mask,
        }
    hidden, head = head_inputs(model, **inputs)
    return hidden[batch.counted], head
