"""Devices and CPU threads: checked before any work, decided in one place.

Importing this module loads no torch; only a device that is not the CPU does.
"""

from __future__ import annotations

import os
import re

from smallsteps.errors import RecipeError, nearest

KNOWN = ("auto", "cpu", "cuda", "mps")
MOST_THREADS = max(256, os.cpu_count() or 1)
"""More than the machine's cores are allowed, so that a run of another machine can be repeated; with
very many torch crashes."""


def check_device(word: str, flag: str = "--device") -> None:
    """Raises RecipeError where `word` is no device, or one that is not there. flag: the option or
    field that named it."""
    kind, colon, number = word.partition(":")
    if kind not in KNOWN or (
        colon and (kind == "auto" or not re.fullmatch(r"\d{1,3}", number, re.ASCII))
    ):
        raise RecipeError(
            f"{flag} {word}: no such device.{nearest(kind.lower(), [*KNOWN, 'cuda:1'])}"
        )
    if kind == "auto" or word in ("cpu", "cpu:0"):
        return
    import torch

    there = {
        "cpu": lambda: 1,
        "cuda": torch.cuda.device_count,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }[kind]()
    if not there:
        raise RecipeError(
            f"{flag} {word}: torch finds no {kind} device here. Use {flag} auto or {flag} cpu."
        )
    if int(number or 0) >= there:
        listed = ", ".join(f"{kind}:{place}" for place in range(there))
        raise RecipeError(f"{flag} {word}: no such device. There are: {listed}.")


def resolve_device(word: str, flag: str = "--device") -> str:
    """The device that `word` names; `auto`: CUDA where there is one, else the CPU. Raises as
    `check_device`."""
    check_device(word, flag)
    if word != "auto":
        return word
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_threads(threads: int | None, flag: str = "--threads") -> None:
    """Raises RecipeError where torch cannot work with so many CPU threads. None: its own choice."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise RecipeError(
            f"{flag} {threads}: expected a number of CPU threads from 1 to {MOST_THREADS}."
        )
