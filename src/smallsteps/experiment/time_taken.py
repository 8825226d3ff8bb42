"""How long the commands of a run have worked, also those that were stopped or killed.

    DIR/time.json    one entry for each command: when it began, and its seconds so far

A command writes its entry while it works, at most every half minute, whenever it reports progress.
So a kill loses less than that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from smallsteps.disk import read_object, write_json
from smallsteps.experiment.ownership import TIME
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
        self._file: Path | None = None
        self._earlier: list[dict[str, Any]] = []

    def begin(self, folder: Path, earlier_seconds: float = 0.0) -> None:
        """Reads what earlier commands took. `earlier_seconds`: what is known of them where the
        folder has no `time.json`, or a damaged one."""
        self._file = folder / TIME
        try:
            self._earlier = list(read_object(self._file)["commands"])
            self._sum()
        except (OSError, ValueError, LookupError, TypeError):
            first = {"started": None, "seconds": earlier_seconds}
            self._earlier = [first] if earlier_seconds else []

    def say(self, line: str) -> None:
        self._reporter.say(line)
        self._keep()

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        self._reporter.advance(what, done, total, info)
        self._keep()

    def finish(self) -> tuple[float, int]:
        """Writes the entry of this command. Returns the seconds of all commands, and how many there
        were."""
        self._write()
        return round(self._sum() + self._seconds(), 1), len(self._earlier) + 1

    def _keep(self) -> None:
        if self._file is not None and time.monotonic() - self._written >= EVERY:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._file is not None:
            entry = {"started": self._started, "seconds": self._seconds()}
            write_json(self._file, {"commands": [*self._earlier, entry]})

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)

    def _sum(self) -> float:
        return sum(float(command["seconds"]) for command in self._earlier)
