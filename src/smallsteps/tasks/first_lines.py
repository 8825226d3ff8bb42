"""The first line of each id of a file, in 16 to 48 bytes an id: a million ids take 32 MB."""

from __future__ import annotations

from array import array

_SMALLEST = 1 << 10
"""Slots of an empty table; a power of two."""


class FirstLines:
    """Hash table with open addressing of 64-bit hashes instead of texts.

    Two of a million texts have the same hash with probability 3e-8. Python salts its hashes, so
    that the next call would tell the two texts apart."""

    def __init__(self) -> None:
        self._hashes = _zeros(_SMALLEST)
        self._lines = _zeros(_SMALLEST)
        """0: the slot is free."""
        self._count = 0

    def add(self, text: str, line: int) -> int | None:
        """The line, from 1, at which `text` was added before; None where it is new."""
        slot = self._slot(hash(text))
        if self._lines[slot]:
            return self._lines[slot]
        self._hashes[slot], self._lines[slot] = hash(text), line
        self._count += 1
        if 3 * self._count > 2 * len(self._lines):
            self._grow()
        return None

    def _slot(self, code: int) -> int:
        """The slot that holds the hash `code`, or the free one where it belongs."""
        hashes, lines = self._hashes, self._lines
        last = len(lines) - 1
        slot = code & last
        while lines[slot] and hashes[slot] != code:
            slot = slot + 1 & last
        return slot

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        self._hashes, self._lines = _zeros(2 * len(lines)), _zeros(2 * len(lines))
        for code, line in zip(hashes, lines, strict=True):
            if line:
                slot = self._slot(code)
                self._hashes[slot], self._lines[slot] = code, line


def _zeros(count: int) -> array[int]:
    return array("q", bytes(8 * count))
