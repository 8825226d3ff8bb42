"""The encoded sequences of a training: in memory while they are few, then in a temporary file."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from collections.abc import Sequence
from threading import Lock
from typing import IO, overload

from smallsteps.errors import TrainingError
from smallsteps.training.batches import Encoded

IN_MEMORY = 64 * 2**20
"""Bytes above which sequences move to a file."""


class EncodedRows(Sequence[Encoded]):
    """Sequences that are added one by one and read in any order.

    In memory are 16 bytes a sequence, and at most `IN_MEMORY` bytes of the newest ones. The file
    has no name: it is gone with the process, however that ends."""

    def __init__(self) -> None:
        self._starts = array("q", [0])
        """Where each row starts, and where the last one ends."""
        self._tokens = array("i")
        self._loss_tokens = array("i")
        self._buffer = bytearray()
        """All rows, or those that are not in the file yet."""
        self._file: IO[bytes] | None = None
        self._in_file = 0
        """Bytes."""
        self._lock = Lock()
        """Held from seek to read."""

    def add(self, row: Encoded) -> None:
        """Adds a row at the end. Raises TrainingError where the disk is full."""
        content = row.to_bytes()
        self._buffer += content
        self._starts.append(self._starts[-1] + len(content))
        self._tokens.append(row.tokens)
        self._loss_tokens.append(row.loss_tokens)
        if len(self._buffer) > IN_MEMORY:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                file = tempfile.TemporaryFile(prefix="smallsteps-", buffering=0)  # noqa: SIM115
                weakref.finalize(self, file.close)
                self._file = file
            self._file.seek(self._in_file)
            while self._buffer:
                written = self._file.write(self._buffer)
                self._in_file += written
                del self._buffer[:written]
        except OSError as error:
            raise TrainingError(
                f"no room for the encoded training set: {error.strerror} in "
                f"{tempfile.gettempdir()}. Make room there, or name another folder: TMPDIR=DIR"
            ) from None

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def tokens(self) -> array[int]:
        """Training tokens of each row."""
        return self._tokens

    @property
    def loss_tokens(self) -> int:
        """Target tokens that the loss counts, of all rows."""
        return sum(self._loss_tokens)

    @overload
    def __getitem__(self, place: int) -> Encoded: ...
    @overload
    def __getitem__(self, place: slice) -> list[Encoded]: ...
    def __getitem__(self, place: int | slice) -> Encoded | list[Encoded]:
        places = range(len(self))[place]
        if isinstance(places, range):
            return [self[index] for index in places]
        start, end = self._starts[places], self._starts[places + 1]
        if start >= self._in_file:
            content = self._buffer[start - self._in_file : end - self._in_file]
            return Encoded.from_bytes(bytes(content))
        assert self._file is not None, "rows are in it"
        with self._lock:
            self._file.seek(start)
            return Encoded.from_bytes(self._file.read(end - start))
