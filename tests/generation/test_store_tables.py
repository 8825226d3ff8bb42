"""Stores of an older version: brought up to date once, with all that they hold."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.costs import Cost
from smallsteps.generation.replies import ReplyStore

REQUEST = ChatRequest("http://host/v1", "m", (("user", "why?"),))

VERSION_1 = """
CREATE TABLE replies (key TEXT PRIMARY KEY, request TEXT NOT NULL, raw TEXT NOT NULL, bought REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE failures (id INTEGER PRIMARY KEY, key TEXT NOT NULL, reason TEXT NOT NULL, raw TEXT, at REAL NOT NULL);
CREATE TABLE calls (id INTEGER PRIMARY KEY, job TEXT NOT NULL, key TEXT NOT NULL, input_tokens INTEGER NOT NULL,
                    output_tokens INTEGER NOT NULL, settled INTEGER NOT NULL);
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX failures_of ON failures (key);
CREATE INDEX calls_of ON calls (job);
PRAGMA user_version = 1;
"""


def old_store(path: Path) -> None:
    """As version 1 left it: one reply, two jobs, one call that a kill left open, counts below 0 and
    beyond reason."""
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    database.execute(
        "INSERT INTO replies VALUES (?, ?, ?, 1.0)", (REQUEST.key, REQUEST.text(), '{"raw": "é"}')
    )
    database.executemany(
        "INSERT INTO calls (job, key, input_tokens, output_tokens, settled) VALUES (?, 'k', ?, ?, ?)",
        [
            ("job", 10, 2, 1),
            ("job", 100, 5, 0),
            ("odd", -4000, -1, 1),
            ("odd", 2**62, 2**62, 1),
            ("odd", 2**62, 3, 1),
        ],
    )
    database.commit()
    database.close()


def test_a_store_of_version_1_keeps_its_replies_and_what_its_jobs_spent(tmp_path: Path) -> None:
    old_store(tmp_path / "r.sqlite")
    for _ in range(2):
        store = ReplyStore(tmp_path / "r.sqlite")
        assert store.get(REQUEST.key) == '{"raw": "é"}' and len(store) == 1
        assert store.spent("job") == Cost(2, 110, 7)
        assert store.spent("odd") == Cost(3, 2 * 10**7, 10**7 + 3), (
            "no count takes the limit away or overflows"
        )
        store.close()
    store = ReplyStore(tmp_path / "r.sqlite")
    call = store.sent("job", "k", Cost(1, 9, 9))
    assert call is not None
    store.failed(call, "k", "status 500", None, Cost(1, 0, 0))
    assert store.spent("job") == Cost(3, 110, 7)


def test_two_processes_that_open_an_old_store_at_once_change_it_once(tmp_path: Path) -> None:
    old_store(tmp_path / "r.sqlite")
    spent: list[Cost] = []

    def open_it() -> None:
        store = ReplyStore(tmp_path / "r.sqlite")
        spent.append(store.spent("job"))
        store.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent == [Cost(2, 110, 7)] * 4
