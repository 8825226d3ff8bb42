"""How many CPU threads this process computes with, in training and in decoding.

Small tensors on several threads wait for each other: a student of a few million weights often
writes no faster on two threads than on one, and many times slower where another job holds a core.
Training has larger tensors. So the two may have numbers of their own. `cli/fastest.py` measures
them for the command line; in Python what torch was told holds for both, unless `use` was called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Threads:
    """Numbers of CPU threads."""

    training: int
    """For all but decoding: training, scoring, evaluation of losses."""
    decoding: int


_decoding: int | None = None
"""Set by `use`; None: decoding takes the number that torch was told."""


def use(threads: Threads) -> None:
    """From now on this process computes with these numbers."""
    global _decoding
    import torch

    torch.set_num_threads(threads.training)
    _decoding = threads.decoding if threads.decoding != threads.training else None


def in_use() -> Threads:
    """What this process computes with."""
    import torch

    training = torch.get_num_threads()
    return Threads(training, _decoding or training)


def on_decoding_threads(step: Callable[P, T]) -> Callable[P, T]:
    """Lets a step of decoding run on its own number of threads."""

    @wraps(step)
    def stepped(*args: P.args, **kwargs: P.kwargs) -> T:
        if _decoding is None:
            return step(*args, **kwargs)
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(_decoding)
        try:
            return step(*args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return stepped
