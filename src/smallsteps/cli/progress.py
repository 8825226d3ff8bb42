"""What commands print: lines, and progress bars where standard error is a terminal.

Everything that is printed goes through here. Text of users, models and servers is shown as it is:
control characters, markup and emoji names in it have no effect."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from smallsteps import team
from smallsteps.report.visible import visible, visible_line


def open_console(stderr: bool = False) -> Console:
    """A console that prints text as it is, in colours only on a terminal and without NO_COLOR."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def say(line: str, style: str | None = None) -> None:
    """Prints `line` on standard output, without line breaks. Of a launch only the first process
    does."""
    if team.rank() > 0:
        return
    open_console().print(visible(line), style=style, soft_wrap=True)


class Terminal:
    """An `experiment.Reporter` that prints lines and progress bars on standard error, so that
    standard output holds results only."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or open_console(stderr=True)
        self._bars: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        """Name of a bar → seconds at which its last line was printed."""
        self._over: set[str] = set()
        """Names of bars whose end was printed."""
        self._is_live = self.console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[info]}", markup=False, style="dim"),
            console=self.console,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._is_live:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Prints a line above the bars."""
        if self._is_live:
            self._progress.console.print(visible(line), markup=False, emoji=False, soft_wrap=True)
        else:
            print(visible(line), file=sys.stderr, flush=True)

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        """Moves the bar `what`. Where standard error is no terminal, prints a line instead, at most
        every ten seconds and at the end."""
        what, info = visible_line(what), visible_line(info)
        if not self._is_live:
            now = time.monotonic()
            is_over = done >= total
            if is_over and what in self._over:
                return  # a last update and the evaluation after it both end the bar
            (self._over.add if is_over else self._over.discard)(what)
            if is_over or now - self._last_line.get(what, 0.0) >= 10:
                self._last_line[what] = now
                print(
                    f"{what}: {100 * done / max(total, 1):.0f}% {info}".rstrip(),
                    file=sys.stderr,
                    flush=True,
                )
            return
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, info=info)
        self._progress.update(self._bars[what], completed=done, total=total, info=info)
        if done >= total:
            self._progress.remove_task(self._bars.pop(what))
