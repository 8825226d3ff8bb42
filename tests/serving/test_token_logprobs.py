"""Tokens that spell a reply. That they do so for every kind of student is tested in
`test_reply_choice.py`."""

from __future__ import annotations

from smallsteps.generation.generator import Reply
from smallsteps.serving.token_logprobs import spell
from tiny_solving import Tiny


def test_a_character_of_several_tokens_belongs_to_the_last_of_them(tiny: Tiny) -> None:
    student = tiny("llama")
    ids = tuple(student.encode("Ann é."))
    assert len(ids) > 3
    reply = Reply("r", 0, ids, student.text(ids), "end", len(ids) + 1, (-0.5,) * (len(ids) + 1))
    tokens = spell([(student, reply)], "Ann é.", " ", True)
    assert "".join(token.text for token in tokens) == "Ann é."
    assert len(tokens) == len(ids) and "é" in [token.text for token in tokens]


def test_tokens_after_the_end_of_the_text_are_left_out_and_the_last_one_is_cut(tiny: Tiny) -> None:
    student = tiny("llama")
    ids = tuple(student.encode("Ann has pens."))
    reply = Reply("r", 0, ids, student.text(ids), "stop", len(ids), (-0.5,) * len(ids))
    tokens = spell([(student, reply)], "Ann h", " ", True)
    assert "".join(token.text for token in tokens) == "Ann h" and len(tokens) < len(ids)


def test_a_later_segment_begins_with_the_joiner(tiny: Tiny) -> None:
    student = tiny("t5")
    replies = []
    for text in ("Ann has", "", "pens"):
        ids = tuple(student.encode(text))
        replies.append((student, Reply("r", 0, ids, text, "end", len(ids), (-0.5,) * len(ids))))
    tokens = [token.text for token in spell(replies, "Ann has pens", " ", True)]
    assert "".join(tokens) == "Ann has pens" and tokens[-1].endswith("pens")
