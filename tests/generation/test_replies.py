from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.generation import replies
from smallsteps.generation.replies import Ask, ReplyStore, Spent

ASK = Ask(
    "http://host/v1",
    "m",
    (("system", "be brief"), ("user", "why?")),
    (("max_tokens", 5), ("temperature", 1.0)),
    2,
)


def stored(path: Path, *asks: Ask) -> ReplyStore:
    store = ReplyStore(path)
    for ask in asks:
        call = store.sent("job", ask.key, Spent(1, 100, 5))
        store.answered(call, ask, '{"raw": "é"}', Spent(1, 10, 2))
    return store


def test_the_key_holds_every_part_of_the_request() -> None:
    others = [
        Ask("http://other/v1", ASK.model, ASK.messages, ASK.parameters, 2),
        Ask(ASK.base_url, "n", ASK.messages, ASK.parameters, 2),
        Ask(ASK.base_url, "m", ASK.messages[1:], ASK.parameters, 2),
        Ask(ASK.base_url, "m", ASK.messages, ASK.parameters[:1], 2),
        Ask(ASK.base_url, "m", ASK.messages, ASK.parameters, 0),
    ]
    assert len({ask.key for ask in [ASK, *others]}) == 6
    assert Ask("http://host/v1/", "m", ASK.messages, ASK.parameters, 2).key == ASK.key, (
        "a slash at the end changes nothing"
    )
    assert "sample" not in ASK.body()


def test_a_reply_is_there_after_the_store_was_closed_and_what_it_cost_takes_the_place_of_the_reservation(
    tmp_path: Path,
) -> None:
    stored(tmp_path / "r.sqlite", ASK).close()
    store = ReplyStore(tmp_path / "r.sqlite")
    assert store.get(ASK.key) == '{"raw": "é"}' and len(store) == 1
    assert store.spent("job") == Spent(1, 10, 2) and store.spent("another") == Spent()


def test_an_open_call_counts_in_full_as_after_a_kill(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.sent("job", ASK.key, Spent(1, 100, 5))
    store.close()
    assert ReplyStore(tmp_path / "r.sqlite").spent("job") == Spent(1, 100, 5)


def test_replies_survive_a_process_that_is_killed_in_the_midst(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from smallsteps.generation.replies import *; store = ReplyStore(sys.argv[1])\n"
        "for n in range(50):\n"
        "    ask = Ask('u', 'm', (('user', str(n)),)); call = store.sent('job', ask.key, Spent(1, 9, 9))\n"
        "    store.answered(call, ask, 'raw', Spent(1, 1, 1))\n"
        "store._db.execute('BEGIN IMMEDIATE'); store._db.execute('DELETE FROM replies'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.sqlite")], timeout=60)
    assert done.returncode == -9
    store = ReplyStore(tmp_path / "r.sqlite")
    assert len(store) == 50 and store.spent("job") == Spent(50, 50, 50)


def test_a_claim_is_held_by_one_and_ends_by_itself(tmp_path: Path) -> None:
    one, other = ReplyStore(tmp_path / "r.sqlite"), ReplyStore(tmp_path / "r.sqlite")
    assert one.claim("k", "one", 60) and one.claim("k", "one", 60), "its owner may renew it"
    assert not other.claim("k", "other", 60)
    one.release("k", "one")
    assert other.claim("k", "other", -1)
    assert one.claim("k", "one", 60), "the other's has run out"
    other.release("k", "other")
    assert not other.claim("k", "other", 60), "nobody releases what is another's"


def test_the_claim_of_a_killed_process_of_this_machine_is_void_and_that_of_another_machine_is_not(
    tmp_path: Path,
) -> None:
    store, owner = ReplyStore(tmp_path / "r.sqlite"), replies.new_owner()
    host, _, number = owner.rsplit(":", 2)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert store.claim("k", f"{host}:{gone.pid}:{number}", 60) and store.claim("k", "me", 60)
    assert store.claim("other", f"elsewhere:{gone.pid}:{number}", 60) and not store.claim(
        "other", "me", 60
    )
    assert store.claim("mine", owner, 60) and not store.claim("mine", "me", 60)


def test_an_exported_store_gives_the_same_bytes_wherever_it_was_taken_over(tmp_path: Path) -> None:
    asks = [Ask("u", "m", (("user", f"q{n}"),), (), n) for n in range(9)]
    one = stored(tmp_path / "one.sqlite", *asks)
    assert one.export(tmp_path / "one.jsonl") == 9
    other = stored(tmp_path / "other.sqlite", *reversed(asks[4:]))
    assert other.take_over(tmp_path / "one.jsonl") == 4
    assert other.take_over(tmp_path / "one.jsonl") == 0
    other.export(tmp_path / "other.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert other.get(asks[0].key) == '{"raw": "é"}'


def test_a_changed_row_is_not_taken_over_and_nothing_of_its_file_is(tmp_path: Path) -> None:
    store = stored(
        tmp_path / "one.sqlite", *(Ask("u", "m", (("user", f"q{n}"),)) for n in range(3))
    )
    store.export(tmp_path / "one.jsonl")
    lines = (tmp_path / "one.jsonl").read_text().splitlines()
    lines[2] = lines[2].replace('"sample": 0', '"sample": 1')
    (tmp_path / "changed.jsonl").write_text("\n".join(lines) + "\n")
    empty = ReplyStore(tmp_path / "empty.sqlite")
    with pytest.raises(
        DataError, match=r"changed\.jsonl:3: the key does not belong to the request"
    ):
        empty.take_over(tmp_path / "changed.jsonl")
    assert len(empty) == 0


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
        "database": "a database of something else",
        "version": "version 99",
    }[what]
    with pytest.raises(DataError, match=message):
        ReplyStore(path)
    assert path.read_bytes()[100:] == before[100:]


def test_a_store_that_another_process_does_not_let_go_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "BUSY_SECONDS", 0.1)
    store = ReplyStore(tmp_path / "r.sqlite")
    other = sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DataError, match="another process has held the reply store"):
        store.claim("k", "me", 1)
    other.execute("ROLLBACK")
    assert store.claim("k", "me", 1)
    other.close()


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
        "INSERT INTO replies VALUES (?, ?, ?, 1.0)", (ASK.key, ASK.text(), '{"raw": "é"}')
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
        assert store.get(ASK.key) == '{"raw": "é"}' and len(store) == 1
        assert store.spent("job") == Spent(2, 110, 7)
        assert store.spent("odd") == Spent(3, 2 * 10**7, 10**7 + 3), (
            "no count takes the limit away or overflows"
        )
        store.close()
    store = ReplyStore(tmp_path / "r.sqlite")
    call = store.sent("job", "k", Spent(1, 9, 9))
    assert call is not None
    store.failed(call, "k", "status 500", None, Spent(1, 0, 0))
    assert store.spent("job") == Spent(3, 110, 7)


def test_two_processes_that_open_an_old_store_at_once_change_it_once(tmp_path: Path) -> None:
    old_store(tmp_path / "r.sqlite")
    spent: list[Spent] = []

    def open_it() -> None:
        store = ReplyStore(tmp_path / "r.sqlite")
        spent.append(store.spent("job"))
        store.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent == [Spent(2, 110, 7)] * 4


def test_bytes_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    assert store.received(ASK, b'{"a": "\xff"}') and not store.received(ASK, b"another"), (
        "the first one stays"
    )
    assert store.get(ASK.key) == '{"a": "\ufffd"}'
    store.rejected(ASK.key, "unreadable")
    assert store.get(ASK.key) is None and store.failures(ASK.key) == ["unreadable"]
    assert store._db.execute("SELECT raw FROM failures").fetchone()[0] == b'{"a": "\xff"}'


def test_the_sums_of_a_job_are_those_of_its_calls(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    for n in range(20):
        call = store.sent("job", f"k{n}", Spent(1, 100 + n, 5))
        assert call is not None
        if n % 3 == 0:
            store.answered(call, Ask("u", "m", (("user", str(n)),)), "raw", Spent(1, n, 1))
        elif n % 3 == 1:
            store.failed(call, f"k{n}", "no", None, Spent(1, 0, 0))
    row = store._db.execute(
        "SELECT count(*), sum(input_tokens), sum(output_tokens) FROM calls"
    ).fetchone()
    assert store.spent("job") == Spent(*row)


def test_a_claim_is_renewed_by_its_owner_and_void_only_where_it_was_not(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    assert store.claim("k", "elsewhere:1:x", 60)
    seen = store.holder("k")
    assert seen is not None and seen.host == "elsewhere"
    store.renew("elsewhere:1:x", 61)
    store.void("k", seen)
    assert not store.claim("k", "me", 60), "it gave a sign of life"
    again = store.holder("k")
    assert again is not None
    store.void("k", again)
    assert store.claim("k", "me", 60)


@pytest.mark.parametrize("where", ["below a file", "no folder"])
def test_a_store_that_cannot_be_made_is_a_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    path = (
        tmp_path / "file" / "r.sqlite"
        if where == "below a file"
        else tmp_path / "a\0b" / "r.sqlite"
    )
    with pytest.raises(DataError, match="the reply store cannot be made there"):
        ReplyStore(path)


def test_a_model_whose_path_is_no_utf_8_has_a_key_and_is_stored(tmp_path: Path) -> None:
    ask = Ask("local:x", "models/m\udcff", (("user", "why?"),))
    store = stored(tmp_path / "r.sqlite", ask)
    assert store.get(ask.key) and store.export(tmp_path / "r.jsonl") == 1
    assert ReplyStore(tmp_path / "new.sqlite").take_over(tmp_path / "r.jsonl") == 1
