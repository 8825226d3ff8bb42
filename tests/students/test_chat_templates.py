"""Chat templates as models have them: without a system role, with strict turns, without any
sense."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.errors import StudentError
from smallsteps.students.chat_templates import chat_text, joined
from tiny_students import make_student

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}" + TURNS
)
FORGETFUL = TURNS.replace(
    "{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"
)
MESSAGES = (("system", "Be brief."), ("user", "Why?"))


def text(template: str, messages: Any = MESSAGES, thinking: bool = False) -> str:
    tokenizer = make_student("qwen").tokenizer
    tokenizer.chat_template = template
    return chat_text(tokenizer, messages, "m", thinking)


def test_a_template_that_knows_the_system_role_gets_it() -> None:
    assert text(TURNS) == "<system>Be brief.<user>Why?<model>"


@pytest.mark.parametrize("template", [GEMMA, FORGETFUL])
def test_without_a_system_role_its_text_joins_the_users(template: str) -> None:
    assert text(template) == "<user>Be brief.\n\nWhy?<model>"


def test_where_turns_must_alternate_neighbours_are_joined() -> None:
    several = (*MESSAGES, ("user", "And how?"), ("assistant", "So."), ("user", "Prediction:"))
    assert (
        text(GEMMA, several)
        == "<user>Be brief.\n\nWhy?\n\nAnd how?<assistant>So.<user>Prediction:<model>"
    )
    assert joined([("user", "a"), ("assistant", "b")]) == [("user", "a"), ("assistant", "b")]


def test_a_template_is_told_whether_to_think() -> None:
    template = TURNS + "{% if enable_thinking %}<think>{% endif %}"
    assert text(template, thinking=True).endswith("<think>") and not text(template).endswith(
        "<think>"
    )


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('No.') }}", "{{ 1 / 0 }}", "{% if %}", "{{ nothing.at.all }}"]
)
def test_a_template_that_takes_nothing_is_one_line(template: str) -> None:
    with pytest.raises(StudentError, match="m: its chat template refuses the messages"):
        text(template)


def test_a_base_model_without_a_template_reads_the_texts_one_after_another() -> None:
    student = make_student("llama")
    student.tokenizer.chat_template = None
    assert student.tokenizer.decode(student.chat_ids(MESSAGES)[1:]) == "Be brief.\n\nWhy?\n"
