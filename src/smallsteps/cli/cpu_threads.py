"""Where a command computes: the device, and the number of CPU threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smallsteps import team
from smallsteps.devices import check_device, check_threads

if TYPE_CHECKING:
    from smallsteps.students.student import Student


@dataclass(frozen=True)
class Compute:
    """Where a command computes."""

    device: str
    """auto, cpu, cuda, cuda:1 or mps."""
    threads: int | None
    """CPU threads; None: torch's choice."""

    def start(self) -> None:
        """Checks the device and sets the threads. Raises RecipeError."""
        check_device(self.device)
        set_threads(self.threads)


def set_threads(
    threads: int | None, out: Path | None = None, load: Callable[[], Student | None] | None = None
) -> None:
    """Sets the CPU threads, on which exact results depend: `threads`, else the number stored in the
    run folder `out`, else the fastest for the student that `load` opens, else torch's choice.
    The processes of a launch share the cores of their machine. Raises RecipeError where torch
    cannot use that many."""
    check_threads(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads is None and load is not None and team.launched() > 1:
        threads = max(1, (os.cpu_count() or 1) // team.launched_here())
    if threads is not None:
        from smallsteps.threads import Threads, use

        use(Threads(threads, threads))
    elif load is not None:
        from smallsteps.cli.fastest import choose_threads

        choose_threads(out, load)
