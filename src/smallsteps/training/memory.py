"""How many tokens go through a model at once: as many as fit, and fewer where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from smallsteps.errors import TrainingError
from smallsteps.students.student import Student
from smallsteps.training.batches import Encoded, collate
from smallsteps.training.processes import all_agree
from smallsteps.training.settings import CPU_TOKENS

Value = TypeVar("Value")

GPU_TOKENS = 32_768
"""The most padded tokens at once on a GPU that the user did not ask for."""
SHARE_OF_MEMORY = 0.6
"""Of a GPU's memory that is left beside weights, gradients and optimizer: what a forward pass may
keep for the backward pass. The rest is for what both need in passing."""
OPTIMIZER_BYTES = 12
"""A trained weight's gradient and its two moments of AdamW, in float32."""
MORE_ROOM = "set gradient_checkpointing, use dtype bfloat16, or lower source_limit and target_limit"
"""What helps in a training on examples where memory does not suffice for one of them."""
PROBE_LENGTH, PROBE_ROWS = 256, (2, 6)
"""Rows of two micro-batches that are read to see what a token takes."""


@dataclass
class MicroBatchSize:
    """Padded tokens that go through the model at once."""

    tokens: int
    more_room: str = MORE_ROOM
    """What helps where they cannot become fewer."""

    def fitting(
        self,
        attempt: Callable[[], Value],
        longest: int,
        device: torch.device,
        in_shards: str | None = None,
    ) -> Value:
        """What `attempt` returns. Where memory runs out, in this process or another one, all
        processes try again with half the tokens.

        longest: tokens of the longest sequence. in_shards: what the processes are at, where they
        share weights: then others wait within a pass, so that none can begin again. Raises
        TrainingError there, and where memory does not suffice for a single sequence."""
        while True:
            complete = True
            try:
                value = attempt()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if in_shards is not None:
                    raise TrainingError(
                        f"out of memory in {in_shards}. With FSDP micro-batches do not shrink by "
                        f"themselves: lower micro_batch_tokens ({self.tokens}), {self.more_room}."
                    ) from None
                complete = False
            if all_agree(complete, device):
                return value
            self.halve(longest, device)

    def halve(self, longest: int, device: torch.device) -> None:
        """Halves it and frees what the device has cached. Raises TrainingError where micro-batches
        hold one sequence already; `longest`: tokens of the longest."""
        if self.tokens < longest:
            advice = self.more_room[:1].upper() + self.more_room[1:]
            raise TrainingError(
                f"out of memory with a single sequence of {longest} tokens. {advice}."
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


def most_tokens(device_type: str) -> int:
    """The most padded tokens at once on a device (`cpu`, `cuda`, ...) where the user names no
    number."""
    return GPU_TOKENS if device_type == "cuda" else CPU_TOKENS


def fitting_tokens(student: Student, outer: nn.Module, device: torch.device) -> int:
    """Padded tokens at once where the user names no number: on a GPU as many as its free memory
    holds, at most `GPU_TOKENS`. outer: the student's model in what is trained (a loss, a policy),
    on its device."""
    if device.type != "cuda":
        return most_tokens(device.type)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    weights = sum(p.numel() for p in outer.parameters() if p.requires_grad)
    return tokens_within(free - OPTIMIZER_BYTES * weights, bytes_a_token(student, outer, device))


def tokens_within(free: int, token_bytes: float) -> int:
    """Padded tokens, a multiple of 256, that a pass may hold with `free` bytes left; at least 256.

    >>> tokens_within(60 * 10**9, 1.2e6), tokens_within(10 * 10**9, 1.2e6)
    (29952, 4864)
    """
    fitting = int(SHARE_OF_MEMORY * max(0, free) / max(1.0, token_bytes))
    return max(256, min(GPU_TOKENS, fitting) // 256 * 256)


def bytes_a_token(student: Student, outer: nn.Module, device: torch.device) -> float:
    """Bytes that one more padded token makes the forward pass keep for the backward pass. What the
    vocabulary head keeps has a limit of its own and is left out."""
    length = min(PROBE_LENGTH, student.max_source_tokens or PROBE_LENGTH)
    kept, read = [], []
    for rows in PROBE_ROWS:
        ids = (student.end_id,) * length
        source = ids if student.start_id is not None else ()
        row = Encoded(source, ids, (*(False,) * (length - 1), True), ("probe",))
        batch = collate([row] * rows, student.start_id).to(device)
        kept.append(_kept_bytes(outer, batch))
        read.append(batch.padded_tokens)
    return (kept[1] - kept[0]) / (read[1] - read[0])


def _kept_bytes(outer: nn.Module, batch: Any) -> int:
    """Bytes of all that a forward pass keeps for its backward pass."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = outer(batch)
    total = sum(sizes.values())
    del output  # until here what was kept is alive, and no two tensors share an address
    return total
