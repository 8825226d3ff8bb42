"""The store of paid replies: nothing that was paid for is lost or bought twice.

One SQLite file for all methods and runs:

| table      | holds                                                                             |
|------------|-----------------------------------------------------------------------------------|
| `replies`  | each request that was answered: its key, the request, the raw body that came      |
| `failures` | raw bodies that were no answer (empty, unreadable) and errors, for people to read |
| `calls`    | each call that was sent, by job, written before it is sent: what a budget counts  |
| `jobs`     | the sums of `calls`, written with them, so that checking a limit takes no time    |
| `claims`   | who is asking for a reply right now (`claim_table.py`)                            |

A reply is stored raw before anything reads it, so that changing a parser, a filter or the number of
rounds buys nothing again. The key is a digest of (base URL, model, messages, parameters, sample).
No API key comes near this file.

Not here: sending (`endpoint.py`), limits (`budget.py`)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from smallsteps.errors import DataError
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.claim_table import ClaimTable, is_alive
from smallsteps.generation.costs import Cost
from smallsteps.generation.store_file import StoreFile
from smallsteps.tasks.files import read_rows, write_rows

Fits = Callable[[Cost, Cost], bool]
"""Receives (all that a job has sent, the part of it that is under way); whether one more call may
be sent."""


class ReplyStore:
    """The store at `path`, opened or made. Raises DataError as `StoreFile` does."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.file = StoreFile(path)
        self.claims = ClaimTable(self.file)

    def close(self) -> None:
        """Closes the file."""
        self.file.close()

    def __len__(self) -> int:
        """Number of replies stored."""
        count: int = self.file.row("SELECT count(*) FROM replies")[0]
        return count

    def get(self, key: str) -> str | None:
        """The raw body of the reply; None: not bought yet."""
        row = self.file.row("SELECT raw FROM replies WHERE key = ?", (key,))
        return _text(row[0]) if row else None

    def failures(self, key: str) -> list[str]:
        """Why earlier calls for this request brought no answer, in order."""
        rows = self.file.rows("SELECT reason FROM failures WHERE key = ? ORDER BY id", (key,))
        return [reason for (reason,) in rows]

    # ---- a call: sent, then received and settled, or failed ----

    def sent(
        self, job: str, key: str, highest: Cost, owner: str = "", fits: Fits | None = None
    ) -> int | None:
        """Notes a call that is about to be sent, with all that it may cost; its number.

        None: `fits` returned False, and nothing is noted. `fits` is called in the same transaction,
        so that processes which share a job share its limits."""
        with self.file.transaction():
            if fits is not None and not fits(self.spent(job), self._under_way(job)):
                return None
            cursor = self.file.write(
                "INSERT INTO calls (job, key, input_tokens, output_tokens, settled, owner)"
                " VALUES (?, ?, ?, ?, 0, ?)",
                (job, key, highest.input_tokens, highest.output_tokens, owner),
            )
            self.file.write("INSERT OR IGNORE INTO jobs VALUES (?, 0, 0, 0)", (job,))
            self._add_to(job, Cost(1, highest.input_tokens, highest.output_tokens))
        return cursor.lastrowid

    def received(self, request: ChatRequest, raw: bytes) -> bool:
        """Stores what came for `request`, before anything reads it. False: a reply was stored
        already, and stays."""
        with self.file.transaction():
            return self._insert(request, raw)

    def settled(self, call: int, cost: Cost) -> None:
        """Notes what a call cost whose reply was received."""
        with self.file.transaction():
            self._settle(call, cost)

    def answered(self, call: int, request: ChatRequest, raw: str, cost: Cost) -> None:
        """Stores the reply and what it cost, in one step."""
        with self.file.transaction():
            self._insert(request, raw.encode("utf-8", "surrogatepass"))
            self._settle(call, cost)

    def failed(self, call: int, key: str, reason: str, raw: str | bytes | None, cost: Cost) -> None:
        """Notes that a call brought no answer, and what it cost nevertheless."""
        with self.file.transaction():
            self._note_failure(key, reason, raw)
            self._settle(call, cost)

    def rejected(
        self, key: str, reason: str, call: int | None = None, cost: Cost | None = None
    ) -> None:
        """Moves what was received for `key` to the failures: it is no answer. `call` brought it, at
        `cost`."""
        with self.file.transaction():
            row = self.file.row("SELECT raw FROM replies WHERE key = ?", (key,))
            self.file.write("DELETE FROM replies WHERE key = ?", (key,))
            self._note_failure(key, reason, row[0] if row else None)
            if call is not None and cost is not None:
                self._settle(call, cost)

    def spent(self, job: str) -> Cost:
        """What `job` has sent so far, earlier and other processes included; calls that a kill left
        open count in full."""
        row = self.file.row(
            "SELECT calls, input_tokens, output_tokens FROM jobs WHERE job = ?", (job,)
        )
        return Cost(*row) if row else Cost()

    def _under_way(self, job: str) -> Cost:
        """What the calls of `job` have reserved that somebody still waits for; not those that a
        kill left open."""
        rows = self.file.rows(
            "SELECT owner, count(*), sum(input_tokens), sum(output_tokens) FROM calls"
            " WHERE job = ? AND settled = 0 AND owner != '' AND EXISTS"
            " (SELECT 1 FROM claims WHERE claims.owner = calls.owner AND until > ?) GROUP BY owner",
            (job, time.time()),
        )
        return sum((Cost(*counts) for owner, *counts in rows if is_alive(owner)), Cost())

    def _insert(self, request: ChatRequest, raw: bytes) -> bool:
        body: str | bytes = raw
        with suppress(UnicodeDecodeError):  # bytes that are no text stay bytes: nothing is lost
            body = raw.decode()
        return self._insert_row(request.key, request.text(), body)

    def _insert_row(self, key: str, text: str, body: str | bytes) -> bool:
        """Whether the reply is new; one that is stored already stays."""
        cursor = self.file.write(
            "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)", (key, text, body, time.time())
        )
        return cursor.rowcount == 1

    def _note_failure(self, key: str, reason: str, raw: str | bytes | None) -> None:
        self.file.write(
            "INSERT INTO failures (key, reason, raw, at) VALUES (?, ?, ?, ?)",
            (key, reason.encode(errors="replace").decode(), raw, time.time()),
        )

    def _settle(self, call: int, cost: Cost) -> None:
        job, read, written = self.file.row(
            "SELECT job, input_tokens, output_tokens FROM calls WHERE id = ?", (call,)
        )
        self.file.write(
            "UPDATE calls SET input_tokens = ?, output_tokens = ?, settled = 1 WHERE id = ?",
            (cost.input_tokens, cost.output_tokens, call),
        )
        self._add_to(job, Cost(0, cost.input_tokens - read, cost.output_tokens - written))

    def _add_to(self, job: str, more: Cost) -> None:
        self.file.write(
            "UPDATE jobs SET calls = calls + ?, input_tokens = input_tokens + ?,"
            " output_tokens = output_tokens + ? WHERE job = ?",
            (more.calls, more.input_tokens, more.output_tokens, job),
        )

    # ---- export and import ----

    def export(self, path: str | Path) -> int:
        """Writes all replies as JSON lines in the order of their keys, the same bytes for the same
        replies; their number."""
        rows = self.file.rows("SELECT key, request, raw FROM replies ORDER BY key")
        return write_rows(
            path,
            (
                {"key": key, "request": json.loads(text), "raw": _text(raw)}
                for key, text, raw in rows
            ),
        )

    def take_over(self, path: str | Path) -> int:
        """Adds the replies of an exported file; the number of new ones. Raises DataError on a row
        that is none, and adds nothing then."""
        with self.file.transaction():
            return sum(self._insert_row(*row) for row in _exported(Path(path)))


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")


def _exported(path: Path) -> Iterator[tuple[str, str, str]]:
    """(key, request, raw body) of each row of an exported file."""
    for number, row in read_rows(path):
        request, raw = row.get("request"), row.get("raw")
        if not isinstance(request, Mapping) or not isinstance(raw, str):
            raise DataError(
                f"{path}:{number}: not an exported reply, which has `key`, `request` and `raw`."
            )
        text = json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        if row.get("key") != key:
            raise DataError(
                f"{path}:{number}: the key does not belong to the request; the row was changed. "
                "Export again."
            )
        yield key, text, raw
