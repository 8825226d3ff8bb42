"""Fixed demonstrations of a causal student: where they stand, when one is left out, and that they
are saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.errors import StudentError
from smallsteps.records import Example
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.training.encode import encode

Tiny = Callable[..., Student]
TASK = get_task("numbers")
SHOWN = (("How many pens?", "The answer is 7."), ("How many boxes?", "The answer is 3."))


def shown(student: Student) -> Student:
    return prepare(student, TASK, path="direct", demonstrations=SHOWN)


def test_demonstrations_stand_before_the_question_in_their_order(tiny: Tiny) -> None:
    student = shown(tiny("llama"))
    assert student.text(student.source_ids(TASK, "How many apples?")) == (
        "How many pens?\nThe answer is 7.\n\nHow many boxes?\nThe answer is 3.\n\nHow many apples?\n"
    )


def test_a_chat_template_gets_them_as_turns(tiny: Tiny) -> None:
    student = shown(tiny("qwen"))
    text = student.tokenizer.decode(student.source_ids(TASK, "How many apples?"))
    turns = [part.split("\n")[0] for part in text.split("<|im_start|>")[1:]]
    assert turns == ["user", "assistant", "user", "assistant", "user", "assistant"]
    assert text.index("7.") < text.index("boxes") < text.index("3.") < text.index("apples")


def test_a_question_is_never_shown_its_own_answer(tiny: Tiny) -> None:
    student = shown(tiny("llama"))
    text = student.text(student.source_ids(TASK, SHOWN[0][0]))
    assert text == "How many boxes?\nThe answer is 3.\n\nHow many pens?\n"


def test_training_reads_what_generation_reads_and_counts_only_the_target(tiny: Tiny) -> None:
    student = shown(tiny("llama"))
    example = Example("e", "p", "How many apples?", (), "The answer is 2.", None, True)
    (row,) = encode(student, TASK, [example])
    prompt = student.source_ids(TASK, "How many apples?")
    assert list(row.target[: len(prompt)]) == prompt
    assert not any(row.counted[: len(prompt)]) and all(row.counted[len(prompt) :])
    assert row.weight(0.1) == pytest.approx(sum(row.counted) + 0.1 * (len(prompt) - 1))


def test_a_saved_student_keeps_its_demonstrations(tiny: Tiny, tmp_path: Path) -> None:
    student = shown(tiny("llama"))
    student.save(tmp_path / "student")
    again = load_student(tmp_path / "student", device="cpu")
    assert again.drive is not None and again.drive.demonstrations == SHOWN
    assert again.source_ids(TASK, "Why?") == student.source_ids(TASK, "Why?")
    assert prepare(again, TASK, path="direct").drive == again.drive


def test_an_encoder_decoder_is_refused(tiny: Tiny) -> None:
    with pytest.raises(StudentError, match="demonstrations are for causal students"):
        shown(tiny("t5"))
