"""What a long job says while it runs."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receives progress updates; the command line shows lines and bars (`cli/progress.py`)."""

    def say(self, line: str) -> None:
        """Receives a finished line of text."""

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        """Receives how much of the work `what` is done, of `total`, in any unit; info: a short note
        such as the current loss."""


class Silent:
    """Ignores progress updates: the default outside notebooks."""

    def say(self, line: str) -> None:
        pass

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        pass
