"""Rows of an update one after another in one sequence, without padding.

    rows of 3, 5 and 2 tokens  →  one sequence of 10, in which each row sees itself alone

Batches by length waste little on a CPU, where many small passes cost nothing. On a GPU a pass of a
small student takes as long as Python needs to start it, so an update should be one pass or two;
padded to one length, a third of it would be padding. Packed, it has none. Attention
(`packed_attention.py`) is then `varlen_attn` of torch (flash attention, Dao et al. 2022, that is
told where rows begin). On a CPU, for tests, a mask does the same. For causal students: positions of
T5-class ones are no ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from smallsteps.errors import TrainingError
from smallsteps.students.student import Student
from smallsteps.students.weights import base_model
from smallsteps.training.batches import Batch, Encoded, Packed

NAME = "smallsteps_packed"
"""Of the attention, among those of transformers."""
PACKED = frozenset(
    {"llama", "qwen2", "qwen3", "mistral", "phi", "phi3", "smollm3", "olmo2", "gpt_neox", "gemma"}
)
"""Model types that can be packed: rotary positions, attention without caps or biases, and where
rows begin reaches it."""
OFF = "Set train.packing=false."


def require_packing(student: Student, bfloat16: bool) -> None:
    """Raises TrainingError if rows of this student cannot be packed. bfloat16: of the
    arithmetic."""
    config = base_model(student.model).config
    if config.model_type not in PACKED:
        raise TrainingError(
            f"train.packing: rows of a {config.model_type} cannot be packed, only those of "
            f"{', '.join(sorted(PACKED))}. {OFF}"
        )
    if getattr(config, "attention_dropout", 0.0):
        raise TrainingError(f"train.packing: there is no dropout in packed attention. {OFF}")
    if student.device.type == "cuda" and not bfloat16:
        raise TrainingError(f"train.packing: a GPU needs train.dtype=bfloat16 for it. {OFF}")
    from smallsteps.training.packed_attention import VARLEN

    if student.device.type == "cuda" and "window_size" not in VARLEN:
        raise TrainingError(
            f"train.packing: torch {torch.__version__} is too old, it needs 2.11 or newer. Type: "
            f"pip install -U torch. {OFF}"
        )


def packed_batches(rows: Sequence[Encoded], limit: int) -> list[list[Encoded]]:
    """`rows` in as few batches as `limit` tokens each allow, of about the same size. A row above
    the limit is a batch of its own.

    Longest rows first, each to the emptiest batch that has room for it."""
    total = sum(row.tokens for row in rows)
    batches: list[list[Encoded]] = [[] for _ in range(-(-total // limit))]
    sizes = [0] * len(batches)
    for row in sorted(rows, key=lambda row: -row.tokens):
        place = min(range(len(batches)), key=sizes.__getitem__, default=0)
        if not batches or (sizes[place] and sizes[place] + row.tokens > limit):
            batches.append([])
            sizes.append(0)
            place = len(batches) - 1
        batches[place].append(row)
        sizes[place] += row.tokens
    return [batch for batch in batches if batch]


def collate_packed(rows: Sequence[Encoded], prompt_weight: float = 0.0) -> Batch:
    """The tensors of a causal student's rows in one sequence; see `batches.collate`."""
    ids = [np.asarray(row.target, dtype=np.int64) for row in rows]
    counted = np.concatenate([np.asarray(row.counted[1:], dtype=bool) for row in rows])
    labels = np.concatenate([row[1:] for row in ids])
    lengths = [len(row) - 1 for row in ids]
    starts = np.cumsum([0, *lengths])
    positions = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    weights = None
    places = np.flatnonzero(counted)
    if prompt_weight:
        weights = torch.from_numpy(np.where(counted, 1.0, prompt_weight).astype(np.float32))
        places = np.arange(len(labels))
    inputs = torch.from_numpy(np.concatenate([row[:-1] for row in ids]))[None]
    return Batch(
        source=None,
        source_mask=None,
        inputs=inputs,
        inputs_mask=torch.ones_like(inputs),
        labels=torch.from_numpy(labels[places]),
        places=torch.from_numpy(places),
        weights=weights,
        packed=Packed(
            torch.from_numpy(positions)[None],
            torch.from_numpy(starts.astype(np.int32)),
            max(lengths),
        ),
    )


@contextmanager
def attending_to_rows(model: nn.Module) -> Iterator[None]:
    """The model reads packed sequences while the context lasts: in the forward pass, and in the
    backward pass where activations are computed again."""
    from transformers import AttentionInterface

    from smallsteps.training.packed_attention import attention

    AttentionInterface.register(NAME, attention)
    config: Any = base_model(model).config
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual


def packed_inputs(batch: Batch) -> dict[str, Any]:
    """What a model is given of a packed batch."""
    if batch.packed is None:
        return {}
    positions, starts, longest = batch.packed
    return {
        "input_ids": batch.inputs,
        "position_ids": positions,
        "cu_seq_lens_q": starts,
        "cu_seq_lens_k": starts,
        "max_length_q": longest,
        "max_length_k": longest,
    }
