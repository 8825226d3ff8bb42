"""What the readers found out by themselves about a file, to be said in one line: guesses, and what
was taken out.

A guess that nobody sees is a fault that nobody finds: a file read with the wrong separator or
encoding trains a student all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from smallsteps.errors import counted

Say = Callable[[str], None]
"""Receives a line for the user: what was guessed, what was taken out, how far reading is."""

_SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}


@dataclass
class Notes:
    """What was guessed about one file."""

    compression: str = ""
    encoding: str = ""
    separator: str = ""
    """Where it is another one than the file's name says."""
    shapes: Counter[str] = field(default_factory=Counter)
    """Rows that were not in our shape, by what they were read as."""
    taken: Counter[str] = field(default_factory=Counter)
    """Rows from which something was taken out, by what it was."""

    def line(self) -> str:
        """One line of text; empty where nothing was guessed.

        >>> Notes(encoding="UTF-16", separator=";").line()
        'read as UTF-16, separated by semicolons'
        """
        guesses = [
            self.encoding,
            f"separated by {_SEPARATORS.get(self.separator, repr(self.separator))}"
            if self.separator
            else "",
            *(f"{shape} ({counted(count, 'row')})" for shape, count in self.shapes.most_common()),
        ]
        parts = [f"read as {', '.join(filter(None, guesses))}"] if any(guesses) else []
        parts += [
            f"{what} taken out of {counted(count, 'row')}"
            for what, count in self.taken.most_common()
        ]
        return "; ".join(parts)
