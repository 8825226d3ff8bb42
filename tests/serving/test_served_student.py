"""A student as the server knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import RecipeError, StudentError, UserError
from smallsteps.generation.generator import Decoding
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.scripts import ChainScript, TextScript
from smallsteps.serving.served_student import (
    MAX_SOURCE_TOKENS,
    ServedStudent,
    load_served,
    served_names,
)
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from tiny_serving import served
from tiny_solving import Tiny

OPTIONS = {"device": "cpu", "dtype": "float32", "batch_size": 4}


def test_a_trained_student_reads_the_last_message_of_the_user_as_in_training(tiny: Tiny) -> None:
    student = served(tiny, "t5", "uni")
    messages = [("system", "Be brief."), ("user", "One?"), ("assistant", "1"), ("user", " Two? ")]
    script = student.chat_script(messages, Decoding(), 0)(lambda: None)
    assert isinstance(script, ChainScript)
    assert script.draft.problem.question == "Two?"
    with pytest.raises(ApiError, match="no message of the user"):
        student.chat_script([("system", "Be brief.")], Decoding(), 0)
    with pytest.raises(ApiError, match="question is empty"):
        student.prompt_script("  ", Decoding(), 0)


def test_a_model_without_a_task_reads_the_whole_conversation_through_its_template(
    tiny: Tiny,
) -> None:
    student = served(tiny, "qwen", "text")
    messages = [("system", "Be brief."), ("user", "One?")]
    script = student.chat_script(messages, Decoding(), 0)(lambda: None)
    assert isinstance(script, TextScript)
    assert script.prompt == student.halves["ES"].chat_ids(messages)


def test_a_prompt_without_a_task_is_continued_as_it_stands(tiny: Tiny) -> None:
    student = served(tiny, "llama", "text")
    script = student.prompt_script("Ann has", Decoding(), 0)(lambda: None)
    half = student.halves["ES"]
    assert isinstance(script, TextScript)
    assert script.prompt == [*half.source_head, *half.encode("Ann has")]


def test_only_students_without_a_limit_of_their_own_get_one(tiny: Tiny) -> None:
    assert served(tiny, "t5").settings.source_limit == MAX_SOURCE_TOKENS
    assert served(tiny, "bart").settings.source_limit is None


def test_students_come_with_the_task_that_they_were_trained_for(tiny: Tiny, tmp_path: Path) -> None:
    prepare(tiny("t5"), get_task("gsm8k"), path="uni").save(tmp_path / "a" / "best")
    tiny("t5").save(tmp_path / "b" / "best")
    names = [str(tmp_path / "a" / "best"), str(tmp_path / "b" / "best")]
    first, second = load_served(names, task=None, **OPTIONS)  # type: ignore[arg-type]
    assert (first.id, second.id) == ("a/best", "b/best")
    assert first.task is not None and first.task.name == "gsm8k" and first.by_segment
    assert second.task is None and not second.by_segment
    (third,) = load_served(names[1:], task="numbers", **OPTIONS)  # type: ignore[arg-type]
    assert third.task is not None and third.settings.lenient
    with pytest.raises(StudentError, match="trained for task 'gsm8k', not 'numbers'"):
        load_served(names[:1], task="numbers", **OPTIONS)  # type: ignore[arg-type]
    for again in (names[0], f"{tmp_path}/b/../a/./best/"):
        with pytest.raises(RecipeError, match="named twice"):
            load_served([names[0], again], task=None, **OPTIONS)  # type: ignore[arg-type]


def test_messages_to_clients_show_the_served_name_and_no_folder_of_this_machine(
    tiny: Tiny, tmp_path: Path
) -> None:
    prepare(tiny("llama"), "gsm8k", path="direct").save(tmp_path / "secret" / "best")
    halves = [prepare(tiny("t5"), "gsm8k", path="dual", role=kind) for kind in ("ES", "AS")]
    DualStudent(*halves, Drive(task="gsm8k", path="dual")).save(tmp_path / "secret" / "pair")
    names = [str(tmp_path / "secret" / name) for name in ("best", "pair")]
    single, pair = load_served(names, task=None, **OPTIONS)  # type: ignore[arg-type]
    assert single.student.name == single.id == "best" and pair.student.name == "pair"
    assert [half.name for half in pair.halves.values()] == ["pair/es", "pair/as"]
    script = single.question_script("pens " * 300, Decoding(), 0)(lambda: None)
    with pytest.raises(UserError, match=r"tokens, best reads 256") as refused:
        script.first()
    assert "secret" not in str(refused.value)


def test_a_model_that_follows_instructions_is_told_to_think_step_by_step(
    tiny: Tiny, tmp_path: Path
) -> None:
    tiny("qwen").save(tmp_path / "chat")
    (student,) = load_served([str(tmp_path / "chat")], task="numbers", **OPTIONS)  # type: ignore[arg-type]
    script = student.question_script("3 + 4?", Decoding(), 0)(lambda: None)
    assert isinstance(script, ChainScript)
    assert "step by step" in script.task.render(script.draft.problem)


def test_names_are_as_short_as_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert served_names(["x/es", "x/as", "y/as"]) == ["es", "x/as", "y/as"]
    assert served_names([".", "bundled"]) == [tmp_path.name, "bundled"]


def test_a_plain_t5_gets_its_frame(tiny: Tiny) -> None:
    student = ServedStudent("t5", tiny("t5"), None)
    script = student.prompt_script("Ann", Decoding(), 0)(lambda: None)
    assert isinstance(script, TextScript)
    assert script.prompt[-1] == student.halves["ES"].end_id
