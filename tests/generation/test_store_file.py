"""The file of the reply store: what is no store is refused and left alone, what is locked is said."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.generation import store_file
from smallsteps.generation.claim_table import ClaimTable
from smallsteps.generation.store_file import StoreFile


@pytest.mark.parametrize("what", ["text", "database", "version"])
def test_a_file_that_is_no_store_of_this_version_is_left_as_it_is(
    tmp_path: Path, what: str
) -> None:
    path = tmp_path / "r.sqlite"
    if what == "text":
        path.write_text("not a database, but long enough to be looked at " * 50)
    else:
        database = sqlite3.connect(path)
        database.execute(
            "CREATE TABLE mine (x)" if what == "database" else "PRAGMA user_version = 99"
        )
        database.commit()
        database.close()
    before = path.read_bytes()
    message = {
        "text": "not a reply store",
        "database": "another database",
        "version": "version 99",
    }[what]
    with pytest.raises(DataError, match=message):
        StoreFile(path)
    assert path.read_bytes()[100:] == before[100:]


def test_a_store_that_another_process_does_not_let_go_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.1)
    table = ClaimTable(StoreFile(tmp_path / "r.sqlite"))
    other = sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DataError, match="another process has locked the reply store"):
        table.claim("k", "me", 1)
    other.execute("ROLLBACK")
    assert table.claim("k", "me", 1)
    other.close()


@pytest.mark.parametrize("where", ["below a file", "no folder"])
def test_a_store_that_cannot_be_made_is_a_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    path = (
        tmp_path / "file" / "r.sqlite"
        if where == "below a file"
        else tmp_path / "a\0b" / "r.sqlite"
    )
    with pytest.raises(DataError, match="cannot make the reply store there"):
        StoreFile(path)


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = StoreFile(tmp_path / "r.sqlite")
    with pytest.raises(ZeroDivisionError), file.transaction():
        file.write("INSERT INTO claims VALUES ('k', 'me', 1.0)")
        raise ZeroDivisionError
    assert file.rows("SELECT * FROM claims") == []
    with file.transaction():
        file.write("INSERT INTO claims VALUES ('k', 'me', 1.0)")
    assert file.row("SELECT owner FROM claims") == ("me",)


def test_a_full_disk_is_a_sentence_and_keeps_the_rows_before(tmp_path: Path) -> None:
    """The trap: a transaction that SQLite has ended by itself cannot be rolled back once more."""
    store = StoreFile(tmp_path / "r.sqlite")
    with store.transaction():
        store.write("CREATE TABLE mine (text)")
        store.write("INSERT INTO mine VALUES ('before')")
    pages = store.row("PRAGMA page_count")[0]
    store.row(f"PRAGMA max_page_count = {pages}")
    message = r"r\.sqlite: database or disk is full\. The replies before are kept\. Free space"
    with pytest.raises(DataError, match=message), store.transaction():
        store.write("INSERT INTO mine VALUES (?)", ("x" * 100_000,))
    store.row(f"PRAGMA max_page_count = {pages + 1000}")
    with store.transaction():
        store.write("INSERT INTO mine VALUES ('after')")
    assert store.rows("SELECT text FROM mine") == [("before",), ("after",)]
    store.close()


def test_a_thread_reads_all_or_nothing_of_another_threads_transaction(tmp_path: Path) -> None:
    file = StoreFile(tmp_path / "r.sqlite")
    with ThreadPoolExecutor(1) as pool:
        with file.transaction():
            file.write("INSERT INTO claims VALUES ('k', 'me', 1.0)")
            found = pool.submit(file.rows, "SELECT key FROM claims")
            time.sleep(0.2)
            assert not found.done()
            file.write("INSERT INTO claims VALUES ('l', 'me', 1.0)")
        assert found.result() == [("k",), ("l",)]
    file.close()


def test_one_thread_reads_while_another_writes_and_so_does_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: while a query is open on a connection and another connection has written since,
    SQLite refuses a transaction on the first one as locked, however long it waits."""
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 5.0)
    mine, others = StoreFile(tmp_path / "r.sqlite"), StoreFile(tmp_path / "r.sqlite")
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            mine.rows("SELECT * FROM claims")

    def write(file: StoreFile, times: int) -> None:
        for n in range(times):
            with file.transaction():
                file.write("INSERT OR REPLACE INTO claims VALUES (?, 'me', 1.0)", (n % 5,))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            reader = pool.submit(read)
            writers = [pool.submit(write, file, 300) for file in (mine, others)]
            try:
                errors = [writer.exception() for writer in writers]
            finally:
                ended.set()
            assert [*errors, reader.exception()] == [None] * 3
    finally:
        sys.setswitchinterval(usual)
    mine.close()
    others.close()
