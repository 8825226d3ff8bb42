"""Faults of the machine, a GPU or a disk, as one line each: what failed, and what to do next.

No check beforehand can exclude them, and torch, safetensors and the operating system each report
them in their own way. Every function of the Python API that computes or saves has the decorator
`names_faults`; the command line and the server use the block `faults_named`. Importing this module
does not load torch."""

from __future__ import annotations

import errno
import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from smallsteps.errors import (
    DeviceError,
    DeviceMemoryError,
    DiskError,
    MachineError,
    SmallstepsError,
)

Params = ParamSpec("Params")
Result = TypeVar("Result")

DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EFBIG,
    errno.ENAMETOOLONG,
}
"""Errors of a disk that no check beforehand can exclude."""
_FAILED = re.compile(
    r"(?P<why>(?:CUDA|HIP)(?: driver)? error: [^\n]*"
    r"|[^\n]*(?:device-side assert|unspecified launch failure|device is lost|GPU is lost"
    r"|No CUDA GPUs are available)[^\n]*)"
)
"""What torch says of a GPU that fails while it is used."""


def names_faults(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """The function, whose faults of the machine are raised as in `faults_named`. Of a generator
    function also those that come while its values are taken."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generator(*args: Params.args, **kwargs: Params.kwargs) -> Any:
            with faults_named():
                return (yield from function(*args, **kwargs))

        return cast("Callable[Params, Result]", generator)

    @wraps(function)
    def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        with faults_named():
            return function(*args, **kwargs)

    return call


@contextmanager
def faults_named() -> Iterator[None]:
    """Raises, while the block runs, DeviceError where a GPU fails or goes, DeviceMemoryError where
    it has too little memory, and DiskError where a disk is full or refuses a file; the cause is the
    error that came. A connection between processes that breaks is another thing."""
    try:
        yield
    except SmallstepsError:
        raise
    except Exception as error:
        fault = _fault_of(error)
        if fault is None:
            raise
        raise fault from error


def _fault_of(error: Exception) -> MachineError | None:
    """What an error says of the machine; None: it has another reason."""
    if refused := _disk_refusal(error):
        return DiskError(
            f"{refused}. The work so far is kept. To continue, run the same command again."
        )
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if "CUDA out of memory" in text or "CUDA error: out of memory" in text:
        return DeviceMemoryError(
            f"{_device_in_use()} has too little memory. What is done is kept. Work on fewer at a "
            "time (answers: --batch-size, --set evaluation.batch_size; training: --set "
            "train.micro_batch_tokens; in Python batch_size and micro_batch_tokens), or end other "
            "programs on it; then run the same command again."
        )
    failure = _FAILED.search(text)
    if failure is None or "NCCL" in text:
        return None
    why = failure["why"].strip().rstrip(".")
    return DeviceError(
        f"{_device_in_use()} failed ({why}). What is done is kept. To continue, run the same "
        "command again; if the GPU fails again, see what nvidia-smi says, or use another one."
    )


def _device_in_use() -> str:
    """The GPU of this process, as far as torch still tells."""
    import torch

    try:
        number = torch.cuda.current_device()
        return f"the GPU cuda:{number} ({torch.cuda.get_device_name(number)})"
    except (RuntimeError, AssertionError):  # it is gone, or torch never had one
        return "the GPU"


def _disk_refusal(error: Exception) -> str:
    """What a disk refused; empty where the error has another reason. Weights are written by Rust
    (safetensors), which names the number of the error, and by C++ (torch), which says where the
    file broke off."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}" if error.errno in DISK_ERRORS else ""
    number = re.search(r"\(os error (\d+)\)$", str(error))
    if number and int(number[1]) in DISK_ERRORS:
        return os.strerror(int(number[1]))
    if "inline_container" in str(error) and "unexpected pos" in str(error):
        return os.strerror(errno.ENOSPC)
    return ""
