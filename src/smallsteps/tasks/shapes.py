"""Rows of other shapes → rows of ours: chats, Alpaca, GSM8K, HotpotQA and multiple choice as data
sets of the hub have them.

A row is recognised by its fields, and only fields that it lacks are filled in, so that a row in our
shape stays as it is. What a row was read as is counted in `Notes` and said. The user's turn (or
`instruction` and `input`) is the question, the reply is the rationale. The answer of a reply is
what stands after `####`, else what the task reads off the reply: its closing, or with the rules for
teachers' texts. A reply whose own answer is not the row's `answer` is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from smallsteps.errors import DataError
from smallsteps.tasks.base import Task, normalise
from smallsteps.tasks.choice_shapes import name_choices
from smallsteps.tasks.clean import reply_text, without_control_tokens
from smallsteps.tasks.context_shapes import list_context, parsed_cell
from smallsteps.tasks.notes import Notes
from smallsteps.tasks.sentences import last_sentence
from smallsteps.tasks.thoughts import split_thought

Row = dict[str, Any]

CHATS = {
    "messages": "chats",
    "conversations": "ShareGPT chats",
    "conversation": "chats",
    "dialog": "chats",
}
"""Fields that hold turns → what such rows are called."""
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Fields of a turn that hold a thought of its own."""
PAIRS = (
    ("instruction", "output"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "response"),
    ("problem", "solution"),
    ("instruction", "response"),
    ("question", "solution"),
    ("question", "response"),
    ("question", "cot"),
)
"""(question, reply) under other names."""
_LONGEST_ANSWER = 100
"""Characters after `####`; more is a heading of the text."""
_MOST_WORDS = 3
"""Words of a last sentence that is an answer ("72." or "Yes, he could."); a longer one is part of
the reasoning."""
_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}=[^<>\n]{0,200}>>")


class DialogueTurn(NamedTuple):
    role: str
    text: str


def in_our_shape(row: Row, task: Task, notes: Notes) -> Row:
    """The row with `question`, `rationale`, `answer`, `choices`, `context` and `supporting_facts`
    as we write them, as far as it has them. Raises DataError on a chat that is not one question and
    one reply."""
    row = dict(row)
    if row.get("id") is None and isinstance(row.get("_id"), str | int):
        row["id"] = row.pop("_id")
    _fill(row, task, notes)
    _cut_gsm8k(row, notes)
    name_choices(row, notes)
    list_context(row, notes)
    return row


def cleaned(row: Row, notes: Notes) -> Row:
    """The row with control tokens, and in its rationale thoughts, taken out of its texts,
    counted."""
    taken = {}
    for name in ("question", "rationale", "answer", "predicted"):
        value = row.get(name)
        if not isinstance(value, str) or not ("<" in value or "[" in value or "◁" in value):
            continue
        text = value
        if name == "rationale":
            thought, rest, ended = split_thought(text)
            if thought is not None or not ended:
                text = rest
                notes.taken["thoughts"] += 1
                if not text:
                    raise DataError(
                        "field 'rationale' holds a thought and no reply after it. "
                        "Take out the thinking tags to train "
                        "on the thought itself, or take out the row."
                    )
        text, count = without_control_tokens(text)
        if count:
            text = text.strip()
            taken["control tokens"] = True
        if text != value:
            row[name] = text
    notes.taken.update(taken.keys())
    return row


# ---- question and reply ----


def _fill(row: Row, task: Task, notes: Notes) -> None:
    if "question" in row and ("rationale" in row or _is_gsm8k(row.get("answer"))):
        return
    exchange = _chat(row) or _pair(row)
    if exchange is None:
        return
    shape, question, reply, used = exchange
    notes.shapes[shape] += 1
    for name in used:
        if name != "question":
            row.pop(name, None)
    row.setdefault("question", question)
    if reply is None or "rationale" in row:
        return
    row["rationale"] = reply
    if _is_gsm8k(reply):
        return  # cut below
    answer = _stated_answer(reply, task)
    if answer is not None:
        _state(row, answer)


def _stated_answer(reply: str, task: Task) -> str | None:
    """The answer of a reply, by its closing or as teachers' texts are read; a last sentence as a
    whole is none."""
    answer = task.closing_answer(reply)
    if answer is None:
        answer = task.extract(reply, True, None)
        whole = normalise(last_sentence(reply_text(reply)))
        if answer is not None and normalise(answer) == whole and len(whole.split()) > _MOST_WORDS:
            return None
    return answer


def _state(row: Row, answer: str) -> None:
    """The answer that a reply gives: the row's, where it has none, else what is compared with
    it."""
    if row.get("answer") is None:
        row["answer"] = answer
    else:
        row.setdefault("predicted", answer)


def _chat(row: Row) -> tuple[str, str, str | None, tuple[str, ...]] | None:
    """(shape, question, reply, fields used) of a row that holds turns."""
    for name, shape in CHATS.items():
        value = parsed_cell(row.get(name))
        if isinstance(value, list) and value:
            return _exchange(value, name, shape, (name,))
    prompt, completion = row.get("prompt"), row.get("completion")
    if isinstance(prompt, list) and prompt:
        reply = completion if isinstance(completion, list) else []
        return _exchange([*prompt, *reply], "prompt", "chats", ("prompt", "completion"))
    return None


def _exchange(
    turns: Sequence[Any], name: str, shape: str, used: tuple[str, ...]
) -> tuple[str, str, str | None, tuple[str, ...]]:
    merged: list[DialogueTurn] = []
    for number, turn in enumerate(turns, start=1):
        current = _turn(turn, f"field {name!r}, turn {number}")
        if merged and merged[-1].role == current.role:
            merged[-1] = DialogueTurn(current.role, f"{merged[-1].text}\n{current.text}")
        else:
            merged.append(current)
    roles = [turn.role for turn in merged if turn.role != "system"]
    if roles not in (["user", "assistant"], ["user"]):
        raise DataError(
            f"field {name!r} has the turns {', '.join(roles) or 'none'}. "
            "A chain is one question of the user and one "
            "reply of the assistant: write a longer chat as several rows."
        )
    texts = {turn.role: turn.text for turn in merged}
    return f"{shape} (`{name}`)", texts["user"], texts.get("assistant"), used


def _turn(turn: Any, place: str) -> DialogueTurn:
    if not isinstance(turn, dict):
        raise DataError(f'{place}: expected {{"role": …, "content": …}}, got {str(turn)[:60]!r}.')
    role = next(
        (turn[key] for key in ("role", "from", "speaker") if turn.get(key) is not None), None
    )
    content = next(
        (turn[key] for key in ("content", "value", "text") if turn.get(key) is not None), None
    )
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise DataError(f"{place}: the role is {str(role)[:40]!r}. Known: {', '.join(ROLES)}.")
    if isinstance(content, list):
        content = _parts(content, place)
    if not isinstance(content, str):
        raise DataError(f"{place}: no text. Expected `content` (or `value`) to be text.")
    thought = next(
        (turn[key] for key in THOUGHTS if isinstance(turn.get(key), str) and turn[key].strip()),
        None,
    )
    if thought is not None:
        content = f"<think>{thought}</think>{content}"  # taken out and counted as all thoughts are
    return DialogueTurn(ROLES[role.lower()], content)


def _parts(parts: Sequence[Any], place: str) -> str:
    texts = []
    for part in parts:
        text = (
            part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        )
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise DataError(
                f"{place}: a part that is no text ({str(kind)[:40]}). Questions are text alone."
            )
        texts.append(text)
    return "\n".join(texts)


def _pair(row: Row) -> tuple[str, str, str | None, tuple[str, ...]] | None:
    """(shape, question, reply, fields used) of a row that holds them under other names; a problem
    may lack the reply."""
    for asks, replies in PAIRS:
        reply = row.get(replies)
        if _is_text(row.get(asks)) and isinstance(reply, str):
            shape = (
                f"Alpaca rows (`{asks}`, `{replies}`)"
                if asks == "instruction"
                else f"`{asks}` and `{replies}`"
            )
            return (
                shape,
                _asked(row, asks),
                reply,
                (asks, "input", replies) if asks == "instruction" else (asks, replies),
            )
    for asks in dict.fromkeys(asks for asks, _ in PAIRS):
        if "question" not in row and _is_text(row.get(asks)):
            used = (asks, "input") if asks == "instruction" else (asks,)
            return f"`{asks}` as the question", _asked(row, asks), None, used
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _asked(row: Row, asks: str) -> str:
    """The question; Alpaca's `input` belongs to its instruction."""
    question, more = str(row[asks]), row.get("input")
    if asks == "instruction" and isinstance(more, str) and more.strip():
        return f"{question.strip()}\n{more.strip()}"
    return question


# ---- GSM8K ----


def _is_gsm8k(text: Any) -> bool:
    return isinstance(text, str) and gsm8k_parts(text) is not None


def gsm8k_parts(text: str) -> tuple[str, str] | None:
    """(rationale, answer) of a text that ends in GSM8K's `#### 72`; None where it does not.

    >>> gsm8k_parts("48 / 2 = 24.\\n#### 72")
    ('48 / 2 = 24.', '72')
    """
    start = text.rfind("####")
    before, answer = text[:start], text[start + 4 :].strip()
    ended = before.strip() == "" or before[-1].isspace()
    if start < 0 or not answer or "\n" in answer or len(answer) > _LONGEST_ANSWER or not ended:
        return None
    return before.strip(), answer


def _cut_gsm8k(row: Row, notes: Notes) -> None:
    """`#### 72` → the answer; calculator annotations `<<48/2=24>>` out of the rationale."""
    cut = gsm8k_parts(row["answer"]) if isinstance(row.get("answer"), str) else None
    if cut is not None:
        rationale, row["answer"] = cut
        if row.get("rationale") is None:
            row["rationale"] = rationale
        notes.shapes["GSM8K rows (`#### answer`)"] += 1
    text = row.get("rationale")
    if not isinstance(text, str):
        return
    cut = gsm8k_parts(text)
    if cut is not None:
        text, answer = cut
        _state(row, answer)
        notes.shapes["GSM8K rows (`#### answer`)"] += 1
    if "<<" in text:
        text, count = _CALCULATOR.subn("", text)
        if count:
            notes.taken["calculator annotations"] += 1
    row["rationale"] = text
