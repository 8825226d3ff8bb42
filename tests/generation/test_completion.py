from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopback import completion
from smallsteps.generation.bodies import Unreadable
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import (
    Thinking,
    chat_reply,
    read_answer,
    stored_answer,
)
from smallsteps.generation.replies import ReplyStore

ASK = ChatRequest("u", "m", (("user", "why"),), (("max_tokens", 50),))


def said(thinking: Thinking, text: str | None, finish: str = "stop", **message: Any) -> str:
    """The reply under a policy, or why there is none."""
    raw = json.dumps(completion(text, finish, **message))
    reply = chat_reply("q", 0, ASK, raw, read_answer(raw), thinking)
    return reply.text if reply.error is None else f"failed: {reply.error}"


UNFINISHED = "failed: unfinished thought: "


@pytest.mark.parametrize(
    ("content", "finish", "field", "drop", "keep", "only"),
    [
        ("So 7.", "stop", None, "So 7.", "So 7.", "failed: empty reply: it holds no thought"),
        ("<think>9?</think>So 7.", "stop", None, "So 7.", "9?\n\nSo 7.", "9?"),
        ("9?</think>So 7.", "stop", None, "So 7.", "9?\n\nSo 7.", "9?"),
        ("<think>9?", "length", None, UNFINISHED, UNFINISHED, UNFINISHED),
        ("<think>", "length", None, UNFINISHED, UNFINISHED, UNFINISHED),
        ("<think>9?", "stop", None, UNFINISHED, UNFINISHED, UNFINISHED),
        ("<think>9?</think>", "stop", None, "failed: empty reply: nothing follows", "9?", "9?"),
        ("So 7.", "stop", "9?", "So 7.", "9?\n\nSo 7.", "9?"),
        (
            "7",
            "stop",
            "3 + 4 = 7, so the answer is 7.",
            "7",
            "3 + 4 = 7, so the answer is 7.\n\n7",
            "3 + 4 = 7, so the answer is 7.",
        ),
        ("", "length", "9?", UNFINISHED, UNFINISHED, UNFINISHED),
        (None, "length", "9?", UNFINISHED, UNFINISHED, UNFINISHED),
        ("", "stop", "So 7.", "So 7.", "So 7.", "So 7."),
    ],
)
def test_one_policy_says_what_of_a_thought_is_the_reply(
    content: str | None, finish: str, field: str | None, drop: str, keep: str, only: str
) -> None:
    for name in ("reasoning_content", "reasoning") if field else ("reasoning_content",):
        message = {name: field} if field else {}
        for thinking, wanted in (("drop", drop), ("keep", keep), ("only", only)):
            text = said(thinking, content, finish, **message)  # type: ignore[arg-type]
            assert text.startswith(wanted) if wanted.startswith("failed: ") else text == wanted


def test_a_thought_is_stored_whole_so_that_another_policy_buys_nothing(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.received(ASK, json.dumps(completion("<think>9?</think>So 7.")).encode())
    stored = stored_answer(store, ASK)
    assert stored is not None
    assert [chat_reply("q", 0, ASK, *stored, thinking).text for thinking in ("drop", "only")] == [
        "So 7.",
        "9?",
    ]


def test_what_a_killed_process_left_and_is_no_answer_is_to_be_bought_again(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.received(ASK, b"<html>")
    assert stored_answer(store, ASK) is None
    assert store.get(ASK.key) is None and store.failures(ASK.key) == ["no completion, but HTML: "]


def test_half_a_character_becomes_a_whole_one_or_its_replacement() -> None:
    raw = json.dumps(completion("x")).replace('"x"', r'"a \ud83d\ude00 b \ud83d c"')
    assert read_answer(raw).text == "a \U0001f600 b \ufffd c"


def test_what_is_nested_deeply_beside_a_reply_costs_it_nothing() -> None:
    raw = json.dumps(completion("So 7."))[:-1] + ', "extra": ' + "[" * 20_000 + "]" * 20_000 + "}"
    assert read_answer(raw).text == "So 7."
    assert (read_answer(raw).input_tokens, read_answer(raw).output_tokens) == (7, 3)


def test_deep_json_that_never_ends_is_unreadable() -> None:
    for raw in ("[" * 100_000, '{"a": ' * 50_000, "[" * 60_000 + "]" * 59_000):
        with pytest.raises(Unreadable):
            read_answer(raw)
