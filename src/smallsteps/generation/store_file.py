"""The SQLite file of the store of paid replies: opened, brought up to date, written in
transactions. Its errors come out as sentences."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError
from smallsteps.generation.store_tables import FROM_VERSION_1, TABLES, VERSION

BUSY_SECONDS = 30.0
"""How long to wait for another process that is writing."""


class StoreFile:
    """Opens or makes the file at `path`, in write-ahead mode: several processes may use it at once.

    Raises DataError where the file is something else, of another version, or locked by a process
    for longer than half a minute; nothing is overwritten then."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path}: cannot make the reply store there ({error}). Name another file."
            ) from None
        self._using = threading.RLock()
        """Held by the thread that uses the connection, to read too: SQLite lets no transaction
        begin on a connection with an open query that is older than another process's writing."""
        with self._explained():
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._write_ahead()
            # with a write-ahead log this survives a killed process; only a power cut may lose the
            # last rows
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._make_tables()

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows that a query finds."""
        with self._using, self._explained():
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        """The row of a query that finds at most one; None where it finds none."""
        rows = self.rows(query, values)
        return rows[0] if rows else None

    def write(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Runs a statement; call it in a `transaction`."""
        return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Meanwhile nobody else writes, and no other thread here reads."""
        with self._using, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends some by itself: on a full disk
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes the connection."""
        with self._using:
            self._connection.close()

    def _write_ahead(self) -> None:
        """Turns the write-ahead log on; of two processes that do so at once, SQLite refuses one
        without waiting."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _make_tables(self) -> None:
        """Makes the tables of an empty file, and brings those of an older version up to date."""
        with self.transaction():
            version = self.row("PRAGMA user_version")[0]
            tables = self.row("SELECT count(*) FROM sqlite_master")[0]
            if version == VERSION:
                return
            if version == 0 and not tables:
                self._apply(TABLES)
            elif version == 1:
                self._apply(FROM_VERSION_1)
            else:
                kind = f"a reply store of version {version}" if version else "another database"
                raise DataError(
                    f"{self.path}: {kind}; this smallsteps reads version {VERSION}. Nothing was "
                    "changed. Name another file, or export its replies with the version that wrote "
                    "it and import them."
                )

    def _apply(self, statements: str) -> None:
        """Runs the statements and gives the file its version, in the transaction that is open."""
        for statement in filter(None, map(str.strip, statements.split(";"))):
            self.write(statement)
        self.write(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raises SQLite's errors as DataError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise DataError(
                    f"{self.path}: another process has locked the reply store for "
                    f"{BUSY_SECONDS:.0f} seconds. Wait for it or stop it, then run the same "
                    "command again."
                ) from None
            if "full" in str(error):
                raise DataError(
                    f"{self.path}: {error}. The replies before are kept. Free space, then run the "
                    "same command again."
                ) from None
            raise DataError(
                f"{self.path}: cannot use the reply store ({error}). Name another file."
            ) from None
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path}: not a reply store ({error}). Name another file."
            ) from None
