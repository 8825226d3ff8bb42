"""Progress of a run in a notebook: one output below the cell, updated in place.

It needs no widgets and prints nothing, so that the notebook's file keeps the last state alone: the
lines of the run, and the bars of what was under way if it was interrupted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from smallsteps.experiment.reporter import Reporter, Silent

SECONDS = 0.5
"""Shortest time between two updates by bars."""
SHOWN = 6
"""Lines that are always seen; earlier ones unfold."""
KEPT = 1000
"""Lines that are kept."""


def default_reporter() -> Reporter:
    """Who hears of a run's progress where the caller names nobody: in a notebook its reader, else
    nobody."""
    return NotebookProgress() if in_notebook() else Silent()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    module: Any = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return getattr(shell, "kernel", None) is not None


@dataclass(frozen=True)
class Bar:
    """How much of some work is done."""

    done: float
    total: float
    info: str

    @property
    def percent(self) -> float:
        """From 0 to 100."""
        return 100 * min(1.0, self.done / max(self.total, 1e-9))


class NotebookProgress:
    """A `Reporter` that shows lines and bars below the cell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: list[str] = []
        self._bars: dict[str, Bar] = {}
        self._handle: Any = None
        self._shown_at = 0.0

    def say(self, line: str) -> None:
        """Shows a line above the bars."""
        self._lines = [*self._lines[1 - KEPT :], line]
        self._show()

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        """Moves the bar `what`; it goes once all is done."""
        if done >= total:
            self._bars.pop(what, None)
        else:
            self._bars[what] = Bar(done, total, info)
        if done >= total or self._clock() - self._shown_at >= SECONDS:
            self._show()

    def _show(self) -> None:
        from IPython.display import display

        self._shown_at = self._clock()
        content = {"text/html": self._html(), "text/plain": self._text()}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def _html(self) -> str:
        earlier, last = self._lines[:-SHOWN], self._lines[-SHOWN:]
        style = "margin:0;white-space:pre-wrap"
        parts = []
        if earlier:
            parts.append(
                f"<details><summary>{len(earlier):,} earlier lines</summary>"
                f'<pre style="{style}">{escape(chr(10).join(earlier))}</pre></details>'
            )
        parts.append(f'<pre style="{style}">{escape(chr(10).join(last))}</pre>')
        parts += [
            f'<div><progress value="{bar.percent:.1f}" max="100"></progress> '
            f"{bar.percent:.0f} % {escape(what)} {escape(bar.info)}</div>"
            for what, bar in self._bars.items()
        ]
        return f"<div>{''.join(parts)}</div>"

    def _text(self) -> str:
        bars = [
            f"{what}: {bar.percent:.0f} % {bar.info}".rstrip() for what, bar in self._bars.items()
        ]
        return "\n".join([*self._lines[-SHOWN:], *bars])
