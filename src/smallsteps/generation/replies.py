"""The store of paid replies: nothing that was paid for is lost or bought twice.

One SQLite file (write-ahead log; several processes may use it at once) for all methods and runs:

    replies    one row for each request that was answered: its key, the request, the raw body of the response
    failures   raw bodies that were no answer (empty, unreadable) and errors, for people to read
    calls      every request that was sent, by job: what a budget counts, written before it is sent
    jobs       the sums of `calls`, kept in the same transactions, so that a limit is checked in constant time
    claims     requests that somebody is asking right now, so that nobody else buys them meanwhile

A reply is stored raw before anything reads it, so that changing a parser, a filter or the number of
rounds buys nothing again. The key is a digest of (base URL, model, messages, parameters, sample).
No API key comes near this file.

A claim is a lease that its owner renews every few seconds. On this machine it also ends with the
process of its owner; of an owner on another machine nobody knows whether it lives, so a claim that
is not renewed for a whole lease is taken over.

Not here: asking (`generation/endpoint.py`), limits (`budget.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from smallsteps.errors import DataError
from smallsteps.generation.store_tables import FROM_VERSION_1, TABLES, VERSION
from smallsteps.tasks.files import read_rows, write_rows

STORE = Path("~/.smallsteps/replies.sqlite").expanduser()
"""Of all methods and runs, where no other is named."""

BUSY_SECONDS = 30.0
"""How long to wait for another process that is writing."""

LEASE_SECONDS = 15.0
"""How long a claim stands without a sign of life of its owner, who renews it three times in this
time."""


@dataclass(frozen=True)
class Ask:
    """One request for one reply, as its key sees it."""

    base_url: str
    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, content) in order."""
    parameters: tuple[tuple[str, Any], ...] = ()
    """What else is sent (temperature, max_tokens, …), in order of name; plain JSON values."""
    sample: int = 0
    """Tells apart several replies to the same words."""

    def body(self) -> dict[str, Any]:
        """What is sent, apart from the sample number, which no server knows."""
        messages = [{"role": role, "content": content} for role, content in self.messages]
        return {"model": self.model, "messages": messages, **dict(self.parameters)}

    def text(self) -> str:
        """The whole request in one canonical line."""
        whole = {"base_url": self.base_url.rstrip("/"), **self.body(), "sample": self.sample}
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode(errors="replace").decode()  # the path of a model may hold any bytes

    @property
    def key(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True)
class Spent:
    """What a job has sent so far; calls under way count with all they may cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


class Holder(NamedTuple):
    """Who is asking a request right now."""

    owner: str
    until: float
    """Unix seconds at which the claim ends unless it is renewed."""

    @property
    def host(self) -> str:
        return self.owner.split(":")[0]


Fits = Callable[[Spent, Spent], bool]
"""Asked (all that a job has sent, its part that is under way): whether one more call may be
sent."""


class ReplyStore:
    """Opens or makes the store at `path`. Raises DataError where the file is something else, of
    another version, or held by a process that does not let go for half a minute; nothing is
    overwritten then."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path}: the reply store cannot be made there ({error}). Name another file."
            ) from None
        self._writing = threading.RLock()
        """One transaction at a time; the threads of a process share the connection."""
        with self._explained():
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._write_ahead()
            # with a write-ahead log this survives a killed process; only a power cut may lose the
            # last rows
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._make()

    def _write_ahead(self) -> None:
        """Turns the write-ahead log on; of two processes that do so at once, SQLite refuses one
        without waiting."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _make(self) -> None:
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version == VERSION:
                return
            if version == 0 and not tables:
                self._apply(TABLES)
            elif version == 1:
                self._apply(FROM_VERSION_1)
            else:
                what = (
                    f"a reply store of version {version}"
                    if version
                    else "a database of something else"
                )
                raise DataError(
                    f"{self.path}: {what}, this smallsteps reads version {VERSION}. Nothing was changed. Name another file, "
                    "or take its replies over with the version that wrote it (export, then import)."
                )

    def _apply(self, statements: str) -> None:
        """Runs the statements and gives the file its version, in the transaction that is open."""
        for statement in filter(None, map(str.strip, statements.split(";"))):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as sentences."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise DataError(
                    f"{self.path}: another process has held the reply store for {BUSY_SECONDS:.0f} seconds. Wait for it "
                    "or stop it, then run the same command again."
                ) from None
            raise DataError(
                f"{self.path}: the reply store cannot be used ({error}). Name another file."
            ) from None
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path}: not a reply store ({error}). Name another file."
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes meanwhile."""
        with self._writing, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def __len__(self) -> int:
        """Replies stored."""
        count: int = self._db.execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    # replies

    def get(self, key: str) -> str | None:
        """The raw body of the reply; None: not bought yet."""
        with self._explained():
            row = self._db.execute("SELECT raw FROM replies WHERE key = ?", (key,)).fetchone()
        return _text(row[0]) if row else None

    def failures(self, key: str) -> list[str]:
        """Why earlier calls for this request brought no answer, in order."""
        with self._explained():
            rows = self._db.execute(
                "SELECT reason FROM failures WHERE key = ? ORDER BY id", (key,)
            ).fetchall()
        return [reason for (reason,) in rows]

    # buying: claim → send → receive → settle

    def claim(self, key: str, owner: str, seconds: float) -> bool:
        """Whether `owner` may ask this now. False: somebody else is asking. The claim of a process
        that was killed does not stay: on this machine it ends with the process, else after
        `seconds`."""
        now = time.time()
        with self._transaction():
            holder = self.holder(key)
            if holder and holder.owner != owner and holder.until > now and _alive(holder.owner):
                return False
            self._db.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, owner, now + seconds)
            )
        return True

    def holder(self, key: str) -> Holder | None:
        """Who claims `key`; None: nobody."""
        with self._explained():
            row = self._db.execute(
                "SELECT owner, until FROM claims WHERE key = ?", (key,)
            ).fetchone()
        return Holder(*row) if row else None

    def void(self, key: str, silent: Holder) -> None:
        """Takes a claim away, unless its holder has renewed it since it was seen as `silent`."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM claims WHERE key = ? AND owner = ? AND until = ?",
                (key, silent.owner, silent.until),
            )

    def renew(self, owner: str, seconds: float) -> None:
        """A sign of life: all claims of `owner` stand `seconds` from now."""
        with self._transaction():
            self._db.execute(
                "UPDATE claims SET until = ? WHERE owner = ?", (time.time() + seconds, owner)
            )

    def release(self, key: str, owner: str) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))

    def sent(
        self, job: str, key: str, most: Spent, owner: str = "", fits: Fits | None = None
    ) -> int | None:
        """Notes a call that is about to be sent, with all that it may cost; its number. None:
        `fits` says no, and nothing is noted; it is asked in the same transaction, so that processes
        which share a job share its limits."""
        with self._transaction():
            if fits is not None and not fits(self.spent(job), self._under_way(job)):
                return None
            cursor = self._db.execute(
                "INSERT INTO calls (job, key, input_tokens, output_tokens, settled, owner) VALUES (?, ?, ?, ?, 0, ?)",
                (job, key, most.input_tokens, most.output_tokens, owner),
            )
            self._db.execute("INSERT OR IGNORE INTO jobs VALUES (?, 0, 0, 0)", (job,))
            self._add_to(job, Spent(1, most.input_tokens, most.output_tokens))
        return cursor.lastrowid

    def _under_way(self, job: str) -> Spent:
        """What the calls of `job` have reserved that somebody still waits for; those that a kill
        left open are none."""
        rows = self._db.execute(
            "SELECT owner, count(*), sum(input_tokens), sum(output_tokens) FROM calls"
            " WHERE job = ? AND settled = 0 AND owner != ''"
            " AND EXISTS (SELECT 1 FROM claims WHERE claims.owner = calls.owner AND until > ?) GROUP BY owner",
            (job, time.time()),
        ).fetchall()
        return sum((Spent(*counts) for owner, *counts in rows if _alive(owner)), Spent())

    def received(self, ask: Ask, raw: bytes) -> bool:
        """Stores what came for `ask`, before anything reads it. False: a reply was stored already,
        and stays."""
        with self._transaction():
            return self._insert(ask, raw)

    def settled(self, call: int, cost: Spent) -> None:
        """Notes what a call cost whose reply was received."""
        with self._transaction():
            self._settle(call, cost)

    def answered(self, call: int, ask: Ask, raw: str, cost: Spent) -> None:
        """Stores the reply and what it cost, in one step."""
        with self._transaction():
            self._insert(ask, raw.encode("utf-8", "surrogatepass"))
            self._settle(call, cost)

    def failed(
        self, call: int, key: str, reason: str, raw: str | bytes | None, cost: Spent
    ) -> None:
        """Notes that a call brought no answer, and what it cost nevertheless."""
        with self._transaction():
            self._note_failure(key, reason, raw)
            self._settle(call, cost)

    def rejected(
        self, key: str, reason: str, call: int | None = None, cost: Spent | None = None
    ) -> None:
        """Moves what was received for `key` to the failures: it is no answer. `call`: which brought
        it, at which cost."""
        with self._transaction():
            row = self._db.execute("SELECT raw FROM replies WHERE key = ?", (key,)).fetchone()
            self._db.execute("DELETE FROM replies WHERE key = ?", (key,))
            self._note_failure(key, reason, row[0] if row else None)
            if call is not None and cost is not None:
                self._settle(call, cost)

    def _insert(self, ask: Ask, raw: bytes) -> bool:
        body: str | bytes = raw
        with suppress(
            UnicodeDecodeError
        ):  # bytes that are no text stay bytes: nothing of them is lost
            body = raw.decode()
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)",
            (ask.key, ask.text(), body, time.time()),
        )
        return cursor.rowcount == 1

    def _note_failure(self, key: str, reason: str, raw: str | bytes | None) -> None:
        self._db.execute(
            "INSERT INTO failures (key, reason, raw, at) VALUES (?, ?, ?, ?)",
            (key, reason.encode(errors="replace").decode(), raw, time.time()),
        )

    def _settle(self, call: int, cost: Spent) -> None:
        job, read, written = self._db.execute(
            "SELECT job, input_tokens, output_tokens FROM calls WHERE id = ?", (call,)
        ).fetchone()
        self._db.execute(
            "UPDATE calls SET input_tokens = ?, output_tokens = ?, settled = 1 WHERE id = ?",
            (cost.input_tokens, cost.output_tokens, call),
        )
        self._add_to(job, Spent(0, cost.input_tokens - read, cost.output_tokens - written))

    def _add_to(self, job: str, more: Spent) -> None:
        self._db.execute(
            "UPDATE jobs SET calls = calls + ?, input_tokens = input_tokens + ?, output_tokens = output_tokens + ?"
            " WHERE job = ?",
            (more.calls, more.input_tokens, more.output_tokens, job),
        )

    def spent(self, job: str) -> Spent:
        """What `job` has sent so far, earlier and other processes included; calls that a kill left
        open count in full."""
        with self._explained():
            row = self._db.execute(
                "SELECT calls, input_tokens, output_tokens FROM jobs WHERE job = ?", (job,)
            ).fetchone()
        return Spent(*row) if row else Spent()

    # shipping

    def export(self, path: str | Path) -> int:
        """All replies as JSON lines in the order of their keys, the same bytes for the same
        replies; their number."""
        with self._explained():
            rows = self._db.execute("SELECT key, request, raw FROM replies ORDER BY key").fetchall()
        return write_rows(
            path,
            (
                {"key": key, "request": json.loads(text), "raw": _text(raw)}
                for key, text, raw in rows
            ),
        )

    def take_over(self, path: str | Path) -> int:
        """Adds the replies of an exported file; the number of new ones. Raises DataError on a row
        that is none."""
        return self._add(_exported(Path(path)))

    def _add(self, rows: Iterable[tuple[str, str, str]]) -> int:
        new = 0
        with self._transaction():
            for key, text, raw in rows:
                cursor = self._db.execute(
                    "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)",
                    (key, text, raw, time.time()),
                )
                new += cursor.rowcount
        return new


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")


def new_owner() -> str:
    """A name for claims: this machine, this process, and a number of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"


def _alive(owner: str) -> bool:
    """Whether the process behind a claim may still be there; of other machines nobody knows."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return True
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and there
    return True


def _exported(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, row in read_rows(path):
        request, raw = row.get("request"), row.get("raw")
        if not isinstance(request, Mapping) or not isinstance(raw, str):
            raise DataError(
                f"{path}:{number}: no exported reply, which has `key`, `request` and `raw`."
            )
        text = json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        if row.get("key") != key:
            raise DataError(
                f"{path}:{number}: the key does not belong to the request; the row was changed. Export again."
            )
        yield key, text, raw
