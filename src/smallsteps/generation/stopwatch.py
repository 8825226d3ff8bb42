"""How long a student works, so that other jobs on the machine count as little as can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Stopwatch:
    """Seconds since it was made.

    On a CPU the processor time of the calling thread, which takes part in every operation: another
    job that has the core meanwhile does not count. Elsewhere, and where another engine than the
    local one writes, wall-clock time.
    """

    def __init__(self, device: torch.device, engine: str = "local") -> None:
        here = device.type == "cpu" and engine == "local"
        self._now: Callable[[], float] = time.thread_time if here else time.perf_counter
        self._began = self._now()

    def share(self, count: int) -> float:
        """The seconds so far, divided among `count` answers (to the microsecond)."""
        return round((self._now() - self._began) / max(1, count), 6)
