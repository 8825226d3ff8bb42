"""Micro-batches that shrink where memory runs out."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from smallsteps.errors import TrainingError


@dataclass
class MicroBatchSize:
    """Padded tokens that go through the model at once."""

    tokens: int

    def halve(self, longest: int, device: torch.device) -> None:
        """Halves it and frees what the device has cached. Raises TrainingError where micro-batches
        hold one sequence already; `longest`: tokens of the longest."""
        if self.tokens < longest:
            raise TrainingError(
                f"out of memory with a single sequence of {longest} tokens. Set "
                "gradient_checkpointing, use dtype bfloat16, or lower source_limit and "
                "target_limit."
            )
        self.tokens //= 2
        if device.type == "cuda":
            torch.cuda.empty_cache()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the error says that memory ran out."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )
