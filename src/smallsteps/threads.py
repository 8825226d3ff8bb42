"""How many CPU threads this process uses, in training and in decoding.

Small tensors on several threads wait for each other: a student of a few million weights often
writes no faster on two threads than on one, and many times slower where another job uses a core.
Training has larger tensors. So the two may have different numbers. `cli/fastest.py` measures the
best ones for the command line. In Python, torch's number holds for both unless `use` was called.
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
    """For everything but decoding: training, scoring, validation losses."""
    decoding: int


_decoding: int | None = None
"""Set by `use`. None: decoding uses torch's number."""


def use(threads: Threads) -> None:
    """Sets the numbers of threads of this process."""
    global _decoding
    import torch

    torch.set_num_threads(threads.training)
    _decoding = threads.decoding if threads.decoding != threads.training else None


def in_use() -> Threads:
    """The numbers of threads that this process uses now."""
    import torch

    training = torch.get_num_threads()
    return Threads(training, _decoding or training)


def on_decoding_threads(step: Callable[P, T]) -> Callable[P, T]:
    """Runs a function on the decoding number of threads, and then sets the earlier number again."""

    @wraps(step)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if _decoding is None:
            return step(*args, **kwargs)
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(_decoding)
        try:
            return step(*args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return wrapper
