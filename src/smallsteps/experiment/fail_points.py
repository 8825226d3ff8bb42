"""Named places where tests kill a run, to see that it continues and ends the same."""

from __future__ import annotations

import os
import signal

FAIL_AT = ""
"""Name of the fail-point at which this process dies. Set by tests alone."""


def fail_point(name: str) -> None:
    """Kills this process, as `kill -9` does, where `FAIL_AT` is `name`."""
    if name == FAIL_AT:
        os.kill(os.getpid(), signal.SIGKILL)
