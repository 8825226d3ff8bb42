"""Weights, gradients and optimizer state split over processes (FSDP2), and put together again where
whole weights are needed.

    student.model   the plain model: its weights are whole before and after training, and within
                    `whole_weights`; else they are empty
    twin            the same modules with every weight split over the processes: what is trained

FSDP gathers a block's weights when that block's forward pass begins. So the twin is trained inside
one outer module (a loss, a policy), which holds what is no block, the vocabulary head above all:
our losses call the head after the model's own forward pass, but within that of the outer module.
Everything else (answers, faster forward passes, files) uses the plain model.

All processes must make the same passes in the same order, because each pass waits for all of them.
Sources: Zhao et al. 2023 (FSDP); ZeRO, Rajbhandari et al. 2020."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any
from weakref import WeakSet

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from smallsteps import team
from smallsteps.errors import InternalError, TrainingError
from smallsteps.training.accelerate_config import Sharding

_LIVE: WeakSet[Shards] = WeakSet()
"""Models whose weights lie in shards now."""


class Shards:
    """A plain model and its twin in shards."""

    def __init__(self, plain: nn.Module) -> None:
        """Until `split`, the twin has the very weights of the plain model."""
        copies: dict[int, Any] = {
            id(weight): nn.Parameter(weight.data, requires_grad=weight.requires_grad)
            for weight in plain.parameters()
        }
        self.plain = plain
        self.twin: nn.Module = deepcopy(plain, copies)
        self._pairs: list[tuple[nn.Parameter, Any]] = []
        """(weight of the plain model, the same weight of the twin in shards)."""
        self._users = 0
        """Blocks of `whole` that are open."""

    def split(self, outer: nn.Module, sharding: Sharding, dtype: torch.dtype) -> None:
        """Split the weights of the twin, which lies within `outer` (or is it), in place; the plain
        model's are empty from now on. dtype: of the arithmetic."""
        plain = dict(self.plain.named_parameters())
        shard_module(outer, sharding, dtype)
        split = dict(self.twin.named_parameters())
        if plain.keys() != split.keys():
            raise InternalError("the names of weights changed when they were split")
        self._pairs = [(weight, split[name]) for name, weight in plain.items()]
        self._empty()
        _LIVE.add(self)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The plain model has whole weights while the block runs, in every process. All processes
        must come here together."""
        if not self._users:
            self._gather()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users and self in _LIVE:
                self._empty()

    def take(self) -> None:
        """Give the twin the weights that the plain model has now (within `whole`)."""
        with torch.no_grad():
            for weight, split in self._pairs:
                split.copy_(_split_like(weight.detach(), split))

    def join(self) -> None:
        """The plain model has whole weights again, for good."""
        self._gather()
        _LIVE.discard(self)
        self._pairs = []

    def _gather(self) -> None:
        for weight, split in self._pairs:
            weight.data = split.detach().full_tensor()

    def _empty(self) -> None:
        for weight, _ in self._pairs:
            weight.data = weight.data.new_empty(0)


def whole_weights(model: nn.Module) -> Any:
    """A context in which `model`, a student's, has its whole weights in every process, whether it
    is trained in one process, in several (each has them anyway) or in shards. All processes must
    enter it together. It may be entered within itself."""
    for shards in _LIVE:
        if any(part is model for part in shards.plain.modules()):
            return shards.whole()
    return nullcontext()


def shard_module(outer: nn.Module, sharding: Sharding, dtype: torch.dtype) -> None:
    """Split the weights of `outer` over all processes, in place. Gradients are summed over
    processes, in float32. dtype bfloat16: blocks gather their weights in it.

    Raises TrainingError if the model has no such block, or torch is too old."""
    # T5's blocks hand on their position bias as a view; nothing changes it in place
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module \(.*\) returned a view")
    device = next(outer.parameters()).device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    # under autocast, weights outside of blocks stay float32, and so does what blocks hand on
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if dtype != torch.float32:
        policy = MixedPrecisionPolicy(
            param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    for block in _blocks(outer, sharding):
        fully_shard(block, mesh=mesh, reshard_after_forward=sharding.reshard, mp_policy=policy)
    fully_shard(outer, mesh=mesh, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
    for module in outer.modules():
        if isinstance(module, FSDPModule):
            if not hasattr(module, "set_force_sum_reduction_for_comms"):
                raise TrainingError(
                    f"torch {torch.__version__}: FSDP needs torch 2.9 or newer. "
                    "Type: pip install -U torch"
                )
            # the loss of an update is divided by what all processes train, so gradients add up
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo knows sums alone


def _blocks(outer: nn.Module, sharding: Sharding) -> Sequence[nn.Module]:
    """The modules whose weights are gathered one at a time."""
    if not sharding.by_block:
        return []
    names = set(sharding.blocks) or block_names(outer)
    # a block within a block comes first
    modules = reversed(list(outer.modules()))
    blocks = [module for module in modules if type(module).__name__ in names]
    missing = sorted(names - {type(block).__name__ for block in blocks})
    if sharding.blocks and missing:
        raise TrainingError(
            f"accelerate's config: fsdp_transformer_layer_cls_to_wrap: the student has no module "
            f"{missing[0]}. Leave the key out: smallsteps knows its blocks."
        )
    return blocks


def block_names(outer: nn.Module) -> set[str]:
    """The classes of the blocks of a model, by the model's own account; `outer`: the model, or what
    it lies in."""
    named = [getattr(module, "_no_split_modules", None) or () for module in outer.modules()]
    return {name for some in named for name in some}


def start_alike(model: nn.Module) -> None:
    """Give every process the weights and buffers of the first."""
    if dist.is_initialized():
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                dist.broadcast(tensor.data, src=0)


def whole_optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """`optimizer.state_dict()` with whole tensors on the CPU, as if weights were not split. All
    processes must come here; what the first gets is complete."""
    state: dict[str, Any] = optimizer.state_dict()
    rows = {
        number: {name: _whole(value) for name, value in row.items()}
        for number, row in state["state"].items()
    }
    return {**state, "state": rows}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load what `whole_optimizer_state` gave, in as many processes as there are now."""
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    by_number = dict(zip(numbers, weights, strict=True))
    rows = {
        number: {name: _split_like(value, by_number[number]) for name, value in row.items()}
        for number, row in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": rows})


def _whole(value: Any) -> Any:
    if not isinstance(value, DTensor):
        return value
    whole = value.full_tensor()
    return whole.cpu() if team.is_first() else None


def _split_like(value: Any, weight: Tensor) -> Any:
    """This process's part of `value`, where it has the shape of `weight` and `weight` is split."""
    if not isinstance(weight, DTensor) or getattr(value, "shape", None) != weight.shape:
        return value
    mesh: DeviceMesh = weight.device_mesh
    here = value.to(weight.device)
    return distribute_tensor(here, mesh, weight.placements, src_data_rank=None)
