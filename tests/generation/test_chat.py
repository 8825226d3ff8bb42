"""A local model in the role of a chat endpoint, tiny and with random weights: what it is asked,
what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallsteps.generation.chat import LocalChat
from smallsteps.generation.completion import Thinking
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.replies import ReplyStore
from tiny_students import make_student

OPEN = (
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking %}<think>{% endif %}"
)
DECODING = Decoding(max_new_tokens=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    made = ReplyStore(tmp_path / "r.sqlite")
    yield made
    made.close()


def chat(store: ReplyStore, thinking: Thinking = "drop") -> LocalChat:
    student = make_student("llama", talkative=0.0)
    student.tokenizer.chat_template = OPEN
    return LocalChat(student, store, thinking=thinking)


def replies(chat: LocalChat, *questions: str) -> list[Reply]:
    return list(chat.generate([Request(q, (("user", q),)) for q in questions], DECODING))


def test_a_reply_is_kept_as_a_server_would_send_it(store: ReplyStore) -> None:
    (reply,) = replies(chat(store), "Why?")
    raw = store.file.write("SELECT raw FROM replies").fetchone()[0]
    assert json.loads(raw)["usage"] == {"prompt_tokens": reply.read, "completion_tokens": 5}
    assert reply.finished == "limit" and reply.tokens == 5
    assert replies(chat(store), "Why?") == [reply] and len(store) == 1


def test_a_thought_that_the_template_opens_and_nothing_ends_is_no_reply(store: ReplyStore) -> None:
    assert replies(chat(store), "Why?")[0].finished == "limit", "it is not asked to think"
    (reply,) = replies(chat(store, "keep"), "Why?")
    assert reply.finished == "failed" and (reply.error or "").startswith("unfinished thought")
    assert len(store) == 2, "with and without thinking are two requests"


def test_a_prompt_that_is_too_long_fails_alone(store: ReplyStore) -> None:
    short, long = "Why?", "Why? " * 400
    found = {reply.id: reply for reply in replies(chat(store), long, short)}
    assert found[short].finished == "limit"
    assert (found[long].error or "").startswith("refused: the prompt: needs ")


def test_a_teacher_without_a_system_role_reads_the_systems_text_in_the_users(
    store: ReplyStore,
) -> None:
    teacher = chat(store)
    teacher.student.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    (reply,) = teacher.generate(
        [Request("q", (("system", "Be brief."), ("user", "Why?")))], DECODING
    )
    assert reply.read == len(
        teacher.student.tokenizer("<user>Be brief.\n\nWhy?", add_special_tokens=False).input_ids
    )
