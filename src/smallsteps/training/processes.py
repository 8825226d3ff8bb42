"""Several processes that train one model (torchrun, accelerate launch), and what each must agree
on: tensors. What else they exchange goes by `smallsteps/team.py`. With one process every function
here returns its own value."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from smallsteps import team
from smallsteps.errors import InternalError, TrainingError


def own_device(device: torch.device) -> torch.device:
    """Where the model of this process belongs; `device`: where it is. The processes of a launch use
    a GPU each."""
    if team.size() == 1 or device.type != "cuda":
        return device
    return torch.device("cuda", torch.cuda.current_device())


def place_in_launch() -> tuple[int, int]:
    """(number of this process, number of processes)."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def check_processes(launched: int, seen: int, update_examples: int) -> None:
    """Raises InternalError if the processes did not find each other (each would train alone,
    unnoticed), and TrainingError if there are more of them than examples in an update."""
    if launched != seen:
        raise InternalError(f"launched as {launched} processes, but Trainer sees {seen}")
    if seen > update_examples:
        raise TrainingError(
            f"{seen} processes share updates of {update_examples} examples: some would have "
            f"nothing to do. Launch at most {update_examples} processes."
        )


def all_agree(flag: bool, device: torch.device) -> bool:
    """Whether `flag` holds in every process."""
    if not dist.is_initialized():
        return flag
    failed = torch.tensor(int(not flag), device=device)
    dist.all_reduce(failed)
    return failed.item() == 0


def sum_over_processes(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in place."""
    if dist.is_initialized():
        for transfer in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
            transfer.wait()


def least(value: int, device: torch.device) -> int:
    """The smallest `value` of all processes, in every process."""
    if not dist.is_initialized():
        return value
    smallest = torch.tensor(value, device=device)
    dist.all_reduce(smallest, op=dist.ReduceOp.MIN)
    return int(smallest.item())


def from_first(value: Tensor) -> float:
    """The first process's `value`, a scalar, in every process."""
    if dist.is_initialized():
        dist.broadcast(value, src=0)
    return float(value.item())


def seed_of(seed: int, update: int, rank: int) -> int:
    """A random seed for each update and process, so that dropout does not depend on where a run was
    resumed."""
    sequence = np.random.SeedSequence((seed, update, rank))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
