"""The processes of one launch (`torchrun`, `accelerate launch`) share the arms of a run.

A launch tells its processes of each other by the environment, so that they train one model
together. In a run each works as if started alone, on a GPU of its own where there are several, and
takes the arms that are free (`workers.py`): a small student gains nothing from many GPUs, and a run
has many students."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

LAUNCHED = (
    "RANK",
    "LOCAL_RANK",
    "GROUP_RANK",
    "ROLE_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_WORLD_SIZE",
    "ROLE_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)
"""What torchrun puts into the environment, and trainers read."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


def is_reporting() -> bool:
    """Whether this process says what a run does: of a launch, only the first does."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def apart() -> Iterator[None]:
    """This process works as if started alone while the block runs. CUDA must not be in use yet
    where the machine has several GPUs."""
    names = [*LAUNCHED, VISIBLE]
    before = {name: os.environ[name] for name in names if name in os.environ}
    if int(before.get("WORLD_SIZE", "1")) > 1:
        local = int(before.get("LOCAL_RANK", "0"))
        for name in LAUNCHED:
            os.environ.pop(name, None)
        gpu = _gpu(local)
        if gpu is not None:
            os.environ[VISIBLE] = gpu
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def _gpu(local: int) -> str | None:
    """The GPU of the process `local` of this machine; where there are more processes than GPUs,
    several share one. None: there is no GPU."""
    import torch

    count = torch.cuda.device_count()
    if not count:
        return None
    visible = os.environ.get(VISIBLE, "")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    return names[local % len(names)].strip()
