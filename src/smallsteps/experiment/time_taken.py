"""How long the commands of a run have worked, also those that were stopped or killed.

    DIR/time.json    one entry for each command: when it began, and its seconds so far

A command writes its entry while it works, at most every half minute, whenever it reports progress.
So a kill loses less than that. Commands that work at the same time have an entry each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smallsteps import lock
from smallsteps.disk import read_object, write_json
from smallsteps.experiment.ownership import LOCK, TIME
from smallsteps.experiment.reporter import Reporter

EVERY = 30.0
"""Seconds between two writes."""


class TimeTaken:
    """A reporter that passes everything on, and keeps the time of this command in the run's
    folder."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self._written = self._began
        self._started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._name = secrets.token_hex(4)
        self._file: Path | None = None
        self._earlier_seconds = 0.0

    def begin(self, folder: Path, earlier_seconds: float = 0.0) -> None:
        """Keeps the time in `folder` from now on. `earlier_seconds`: what is known of earlier
        commands where the folder has no `time.json`, or a damaged one."""
        self._file = folder / TIME
        self._earlier_seconds = earlier_seconds

    def say(self, line: str) -> None:
        self._reporter.say(line)
        self._keep()

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        self._reporter.advance(what, done, total, info)
        self._keep()

    def finish(self) -> tuple[float, int]:
        """Writes the entry of this command. Returns the seconds of all commands, and how many there
        were."""
        commands = self._write()
        return round(_sum(commands), 1), len(commands)

    def _keep(self) -> None:
        if self._file is not None and time.monotonic() - self._written >= EVERY:
            self._write()

    def _write(self) -> list[dict[str, Any]]:
        """Writes the entry of this command beside the others, and returns all."""
        self._written = time.monotonic()
        entry = {"name": self._name, "started": self._started, "seconds": self._seconds()}
        if self._file is None:
            return [entry]
        with lock.waiting(self._file.parent / LOCK):
            others = [row for row in self._commands() if row.get("name") != self._name]
            commands = [*others, entry]
            write_json(self._file, {"commands": commands})
        return commands

    def _commands(self) -> list[dict[str, Any]]:
        """The entries in the file."""
        try:
            commands = list(read_object(self._file)["commands"]) if self._file else []
            _sum(commands)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            earlier = {"started": None, "seconds": self._earlier_seconds}
            commands = [earlier] if self._earlier_seconds else []
        return commands

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)


def _sum(commands: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(command["seconds"]) for command in commands)
