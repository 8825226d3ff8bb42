"""Questions as an untrained student reads them."""

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Problem
from smallsteps.tasks import TASKS, get_task
from smallsteps.teaching.prompts import parse_prompt
from smallsteps.teaching.zero_shot import (
    folder_follows_instructions,
    follows_instructions,
    zero_shot,
)

PROBLEM = Problem("p", "How many pens?", "7")


def test_the_prompt_holds_the_question_and_the_closing_and_the_task_stays_the_same_otherwise():
    task = get_task("gsm8k")
    put = zero_shot(task)
    assert put.render(PROBLEM) == (
        "How many pens?\n\nThink step by step, and end with this sentence: The answer is …."
    )
    assert put.extract is task.extract and put.name == task.name and put.closing == task.closing


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_can_be_put_zero_shot(name):
    task = TASKS[name]
    problem = Problem(
        "p",
        "Where?",
        "Rome",
        choices=("Rome", "Oslo"),
        context=(("Rome", ("Rome is in Italy.",)),),
        meta={"supporting_titles": ["Rome"]},
    )
    text = zero_shot(task).render(problem)
    assert text.startswith(task.render(problem)) and "Think step by step" in text
    assert ("end with" in text) == (task.closing is not None)


def test_a_system_message_joins_the_question_and_a_worked_example_is_refused():
    prompt = parse_prompt("mine", "[system]\nBe brief.\n[user]\n{{ question }}")
    assert zero_shot(get_task("gsm8k"), prompt).render(PROBLEM) == "Be brief.\n\nHow many pens?"
    worked = parse_prompt("mine", "[user]\nWhy?\n[assistant]\nSo.\n[user]\n{{ question }}")
    with pytest.raises(RecipeError, match=r"prompt mine: it holds a message \[assistant\]"):
        zero_shot(get_task("gsm8k"), worked)


def test_a_prompt_cannot_show_the_gold_answer():
    prompt = parse_prompt("mine", "[user]\n{{ question }} Is it {{ answer }}?")
    with pytest.raises(DataError, match=r"prompt mine, problem p: .*answer"):
        zero_shot(get_task("gsm8k"), prompt).render(PROBLEM)


def test_only_a_causal_student_with_a_chat_template_follows_instructions(tiny, tiny_chat, tmp_path):
    assert follows_instructions(tiny("qwen"))
    assert not follows_instructions(tiny("llama")) and not follows_instructions(tiny("t5"))
    chatty = tiny("t5")
    chatty.tokenizer.chat_template = "{{ messages }}"
    assert not follows_instructions(chatty), "an encoder-decoder reads no chat"
    assert folder_follows_instructions(tiny_chat(tmp_path / "chat"))
    tiny("llama").save(tmp_path / "bare")
    assert not folder_follows_instructions(tmp_path / "bare")
    assert not folder_follows_instructions("bundled")
