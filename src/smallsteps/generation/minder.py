"""A program that keeps a server only as long as the process that needs it: `python minder.py FOLDER
COMMAND...`

It starts COMMAND in a process group of its own and waits until its standard input is closed, which
happens however the process that started it ends, a kill included. Then it ends the whole group and
deletes FOLDER, which holds the weights. Where COMMAND ends first, so does it, with the same code.
Uses the standard library alone."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time

GRACE = 15.0
"""Seconds that a server has to end by itself before it is killed."""
POLL = 0.1
"""Seconds between two looks."""


def mind(folder: str, command: list[str]) -> int:
    """Runs `command` until standard input is closed or it ends; its exit code, 0 where it was
    ended here."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    try:
        while server.poll() is None:
            if select.select([0], [], [], POLL)[0] and not os.read(0, 1):
                end_group(server)
                return 0
        return server.returncode
    finally:
        kill(server, signal.SIGKILL)  # what a server that crashed has left
        shutil.rmtree(folder, ignore_errors=True)


def end_group(server: subprocess.Popen[bytes]) -> None:
    """Asks the server's processes to end, and waits."""
    kill(server, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL)


def kill(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Sends the signal to the server's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # the closed input alone ends it; a signal that is ignored the server would ignore too
        signal.signal(number, lambda *_: None)
    sys.exit(mind(sys.argv[1], sys.argv[2:]))
