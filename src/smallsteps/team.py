"""The processes of one launch (`torchrun`, `accelerate launch`) make one thing together.

All run the same code in the same order. The first one decides, writes files and speaks; work on
many items is shared out (`share_out`). With one process every function here returns its own value.

Tensors of a training are exchanged by `training/processes.py`."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from smallsteps.errors import SmallstepsError, UserError

Value = TypeVar("Value")
Item = TypeVar("Item")

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: the first may wait for a teacher meanwhile."""
_BROKEN = re.compile(
    r"connection (was )?(closed|reset|refused)|broken pipe|socket|timed out|gloo|nccl",
    re.IGNORECASE,
)
"""What messages of torch say of a connection between processes that broke."""
_group: Any = None
"""Exchanges objects through the CPU; None: the default group does."""
_apart = False
"""Whether the first process does something that the others wait for."""


class FirstFailed(SmallstepsError):
    """The first process of the launch failed and said why; this one has nothing to add."""


class ProcessLost(UserError):
    """Another process of the launch is gone, or was not found."""


class ForAll(Exception):
    """What the first process raises within `from_first`, and all others raise with it."""


def launched() -> int:
    """Number of processes of the launch that this one belongs to; 1: it was started alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process in its launch, from 0. Clusters set RANK for other reasons too."""
    return int(os.environ.get("RANK", "0")) if launched() > 1 else 0


def launched_here() -> int:
    """Number of processes of the launch on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def join(device: str) -> None:
    """Makes the processes of this launch find each other; nothing where this one was started alone
    or has joined already. `device`: `cpu`, or `cuda`, of which each process then uses a GPU of its
    own. Raises ProcessLost where another process is not found, or is lost meanwhile."""
    global _group
    import torch.distributed as dist

    if launched() == 1 or _group is not None:
        return
    if not dist.is_initialized():
        _meet(on_cpu=device == "cpu")
    leave_at_exit()
    with losses():
        _group = dist.new_group(backend="gloo", timeout=PATIENCE)


def _meet(on_cpu: bool) -> None:
    """Forms the default group of this launch's processes."""
    from accelerate import PartialState

    try:
        PartialState(cpu=on_cpu, backend="gloo" if on_cpu else None, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # ValueError: no MASTER_ADDR
        if isinstance(error, RuntimeError) and not _of_connection(error):
            raise  # of a GPU, for one
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ProcessLost(
            f"process {rank()} of {launched()} did not find the others ({reason:.300}). Start them "
            "by torchrun or accelerate launch, with the same MASTER_ADDR and a free MASTER_PORT."
        ) from error


def leave_at_exit() -> None:
    """Ends the exchange when this process ends. One that ends while its threads live is aborted now
    and then."""
    atexit.register(_leave)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def size() -> int:
    """Number of processes that work together now; 1 before `join`."""
    dist = _distributed()
    return dist.get_world_size() if dist else 1


def is_first() -> bool:
    """Whether this is the process that writes files."""
    dist = _distributed()
    return not dist or dist.get_rank() == 0


def wait_for_all() -> None:
    """Returns when every process has come here. Raises ProcessLost where one is gone."""
    from_all(None)


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` returns in the first process, in every process; the others do not call it. It
    begins when all processes have come here, and what it calls works as if there were no others.

    Where it raises an error, the first process raises this one, and the others FirstFailed; where
    it raises ForAll, all raise this."""
    if size() == 1:
        return make()
    wait_for_all()
    if not is_first():
        value, error = _broadcast(None)
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]
    error, value = None, None
    with _alone():
        try:
            value = make()
        except ForAll as raised:
            error = raised
        except BaseException:
            error = FirstFailed("the first process of this launch failed")
            raise
        finally:
            with _alone(False):
                _broadcast((value, error))
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def agreed(value: Value) -> Value:
    """The first process's `value`, in every process."""
    return from_first(lambda: value)


def share_out(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Value]]
) -> list[Value]:
    """What `work` returns for all items, in their order, in every process. Each process works on a
    share of them; `work` returns one value for each item it is given.

    Where a share raises a UserError, every process raises the first of them."""
    count = size()
    if count == 1:
        return list(work(items))
    number = _distributed().get_rank()
    error: UserError | None = None
    mine: Sequence[Value] = []
    try:
        mine = work(items[number::count])
    except UserError as raised:
        error = raised
    shares = from_all((list(mine), error))
    for _, failure in shares:
        if failure is not None:
            raise failure
    values = [iter(share) for share, _ in shares]
    return [next(values[place % count]) for place in range(len(items))]


def from_all(value: Value) -> list[Value]:
    """The `value` of each process, in order, in every process. No tensor of a GPU."""
    dist = _distributed()
    if not dist:
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    with losses():
        dist.all_gather_object(values, value, group=_group)
    return values


def _broadcast(value: Any) -> Any:
    """The first process's `value`, in every process."""
    carrier = [value]
    with losses():
        _distributed().broadcast_object_list(carrier, src=0, group=_group)
    return carrier[0]


@contextmanager
def _alone(alone: bool = True) -> Iterator[None]:
    """Whether this process works as if there were no others, while the block runs."""
    global _apart
    before, _apart = _apart, alone
    try:
        yield
    finally:
        _apart = before


@contextmanager
def losses() -> Iterator[None]:
    """Raises ProcessLost where another process is lost while the block runs: the connection
    breaks."""
    try:
        yield
    except RuntimeError as error:
        if launched() == 1 or not _of_connection(error):
            raise
        raise ProcessLost(
            "another process of this launch was killed or has failed. What is done is kept. To "
            "continue, run the same command again; the number of processes may be another."
        ) from error


def _of_connection(error: RuntimeError) -> bool:
    """Whether torch says that a connection between processes broke: by the type of the error or,
    for some of gloo's and nccl's, only by its words."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or bool(_BROKEN.search(str(error)))


def _distributed() -> Any:
    """`torch.distributed` where processes work together; None: this one works alone, perhaps
    without torch."""
    if _apart or launched() == 1:
        return None
    import torch.distributed as dist

    return dist if dist.is_available() and dist.is_initialized() else None
