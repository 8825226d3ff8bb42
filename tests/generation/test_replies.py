from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.generation.replies import ChatRequest, Cost, ReplyStore

ASK = ChatRequest(
    "http://host/v1",
    "m",
    (("system", "be brief"), ("user", "why?")),
    (("max_tokens", 5), ("temperature", 1.0)),
    2,
)


def stored(path: Path, *chat_requests: ChatRequest) -> ReplyStore:
    store = ReplyStore(path)
    for chat_request in chat_requests:
        call = store.sent("job", chat_request.key, Cost(1, 100, 5))
        store.answered(call, chat_request, '{"raw": "é"}', Cost(1, 10, 2))
    return store


def test_a_reply_is_there_after_the_store_was_closed_and_what_it_cost_takes_the_place_of_the_reservation(
    tmp_path: Path,
) -> None:
    stored(tmp_path / "r.sqlite", ASK).close()
    store = ReplyStore(tmp_path / "r.sqlite")
    assert store.get(ASK.key) == '{"raw": "é"}' and len(store) == 1
    assert store.spent("job") == Cost(1, 10, 2) and store.spent("another") == Cost()


def test_an_open_call_counts_in_full_as_after_a_kill(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.sent("job", ASK.key, Cost(1, 100, 5))
    store.close()
    assert ReplyStore(tmp_path / "r.sqlite").spent("job") == Cost(1, 100, 5)


def test_replies_survive_a_process_that_is_killed_in_the_midst(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from smallsteps.generation.chat_request import ChatRequest
        from smallsteps.generation.costs import Cost
        from smallsteps.generation.replies import ReplyStore

        store = ReplyStore(sys.argv[1])
        for n in range(50):
            request = ChatRequest("u", "m", (("user", str(n)),))
            call = store.sent("job", request.key, Cost(1, 9, 9))
            store.answered(call, request, "raw", Cost(1, 1, 1))
        store.file.write("BEGIN IMMEDIATE")
        store.file.write("DELETE FROM replies")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.sqlite")], timeout=60)
    assert done.returncode == -9
    store = ReplyStore(tmp_path / "r.sqlite")
    assert len(store) == 50 and store.spent("job") == Cost(50, 50, 50)


def test_an_exported_store_gives_the_same_bytes_wherever_it_was_taken_over(tmp_path: Path) -> None:
    chat_requests = [ChatRequest("u", "m", (("user", f"q{n}"),), (), n) for n in range(9)]
    one = stored(tmp_path / "one.sqlite", *chat_requests)
    assert one.export(tmp_path / "one.jsonl") == 9
    other = stored(tmp_path / "other.sqlite", *reversed(chat_requests[4:]))
    assert other.take_over(tmp_path / "one.jsonl") == 4
    assert other.take_over(tmp_path / "one.jsonl") == 0
    other.export(tmp_path / "other.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert other.get(chat_requests[0].key) == '{"raw": "é"}'


def test_a_changed_row_is_not_taken_over_and_nothing_of_its_file_is(tmp_path: Path) -> None:
    store = stored(
        tmp_path / "one.sqlite", *(ChatRequest("u", "m", (("user", f"q{n}"),)) for n in range(3))
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


def test_bytes_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    assert store.received(ASK, b'{"a": "\xff"}') and not store.received(ASK, b"another"), (
        "the first one stays"
    )
    assert store.get(ASK.key) == '{"a": "\ufffd"}'
    store.rejected(ASK.key, "unreadable")
    assert store.get(ASK.key) is None and store.failures(ASK.key) == ["unreadable"]
    assert store.file.write("SELECT raw FROM failures").fetchone()[0] == b'{"a": "\xff"}'


def test_the_sums_of_a_job_are_those_of_its_calls(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    for n in range(20):
        call = store.sent("job", f"k{n}", Cost(1, 100 + n, 5))
        assert call is not None
        if n % 3 == 0:
            store.answered(call, ChatRequest("u", "m", (("user", str(n)),)), "raw", Cost(1, n, 1))
        elif n % 3 == 1:
            store.failed(call, f"k{n}", "no", None, Cost(1, 0, 0))
    row = store.file.write(
        "SELECT count(*), sum(input_tokens), sum(output_tokens) FROM calls"
    ).fetchone()
    assert store.spent("job") == Cost(*row)


def test_a_model_whose_path_is_no_utf_8_has_a_key_and_is_stored(tmp_path: Path) -> None:
    chat_request = ChatRequest("local:x", "models/m\udcff", (("user", "why?"),))
    store = stored(tmp_path / "r.sqlite", chat_request)
    assert store.get(chat_request.key) and store.export(tmp_path / "r.jsonl") == 1
    assert ReplyStore(tmp_path / "new.sqlite").take_over(tmp_path / "r.jsonl") == 1
