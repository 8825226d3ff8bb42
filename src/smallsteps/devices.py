"""Devices and numbers of CPU threads: checked before any work, decided in one place.

Importing this module does not load torch; only a device other than the CPU does.
"""

from __future__ import annotations

import os
import re
from typing import Any, TypeVar

from smallsteps.errors import RecipeError, nearest

AnyModel = TypeVar("AnyModel", bound=Any)
"""A torch module."""

DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_THREADS = max(256, os.cpu_count() or 1)
"""Maximum number of CPU threads. It is above the machine's number of cores, so that a run of a
larger machine can be repeated; torch crashes with very many."""


def check_device(name: str, flag: str = "--device") -> None:
    """Raises RecipeError where `name` is no device, or one that this machine does not have.

    name: `auto`, `cpu`, `cuda`, `mps`, or one of several by its number: `cuda:1`. flag: the option
    or recipe key that named it.
    """
    kind, colon, number = name.partition(":")
    is_number = re.fullmatch(r"\d{1,3}", number, re.ASCII)
    if kind not in DEVICES or (colon and (kind == "auto" or not is_number)):
        raise RecipeError(
            f"{flag} {name}: no such device.{nearest(kind.lower(), [*DEVICES, 'cuda:1'])}"
        )
    if kind == "auto" or name in ("cpu", "cpu:0"):
        return
    count = _count(kind)
    if not count:
        raise RecipeError(
            f"{flag} {name}: torch finds no {kind} device here. Use {flag} auto or {flag} cpu."
        )
    if int(number or 0) >= count:
        available = ", ".join(f"{kind}:{index}" for index in range(count))
        raise RecipeError(f"{flag} {name}: no such device. Available: {available}.")


def _count(kind: str) -> int:
    """How many devices of a kind torch sees."""
    import torch

    if kind == "cuda":
        return torch.cuda.device_count()
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return 1


def resolve_device(name: str, flag: str = "--device") -> str:
    """The device that `name` stands for; `auto` is CUDA where torch sees a card, else the CPU.
    Raises RecipeError as `check_device`."""
    check_device(name, flag)
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def move_to(model: AnyModel, device: str) -> AnyModel:
    """Moves a model to a device, as `resolve_device` names it.

    On CUDA it turns cuDNN's attention off, for the whole process: torch has no other switch, and
    cuDNN prepares itself anew for every length of rows, which here differs from batch to batch and
    grows with every token."""
    if device.startswith("cuda"):
        import torch

        torch.backends.cuda.enable_cudnn_sdp(False)
    return model.to(device)


def check_threads(threads: int | None, flag: str = "--threads") -> None:
    """Raises RecipeError where torch cannot use this number of CPU threads; None is torch's own
    choice."""
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise RecipeError(
            f"{flag} {threads}: expected a number of CPU threads from 1 to {MAX_THREADS}."
        )
