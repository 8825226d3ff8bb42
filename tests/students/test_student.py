"""Text to ids and back: what students read and write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from smallsteps.errors import DataError, StudentError
from smallsteps.students import student as student_module
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
QUESTION = "How many pens are left?"
PREFIX = [("ES", "Ann has 3 boxes,"), ("AS", "so 12 pens.")]


def test_an_encoder_reads_question_space_and_stripped_segments(tiny: Tiny) -> None:
    student = tiny("t5")
    ids = student.source_ids(TASK, QUESTION, PREFIX)
    assert student.text(ids) == f"{QUESTION} Ann has 3 boxes, so 12 pens."
    assert ids[-1] == student.end_id and ids.count(student.end_id) == 1
    assert student.source_ids(TASK, QUESTION, [("ES", "  ")]) == student.source_ids(TASK, QUESTION)


def test_chinese_segments_are_joined_by_nothing(tiny: Tiny) -> None:
    student = tiny("bart")
    ids = student.source_ids(replace(TASK, joiner=""), "问", [("ES", "甲"), ("AS", "乙")])
    assert student.text(ids) == "问 甲乙"


def test_the_cue_closes_the_input_before_the_end(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="uni", cue=True)
    ids = student.source_ids(TASK, QUESTION, PREFIX, cue="ES")
    assert ids[-2:] == [student.markers["ES"], student.end_id]


def test_bart_frames_sources_and_targets_as_it_was_pre_trained(tiny: Tiny) -> None:
    student = tiny("bart")
    assert student.source_ids(TASK, "a")[0] == 0 and student.source_ids(TASK, "a")[-1] == 2
    assert student.target_ids(TASK, "a")[0] == 0 and student.target_ids(TASK, "a")[-1] == 2
    assert student.start_id == 2 and student.max_source_tokens == 128


@pytest.mark.parametrize("style", ["t5gemma", "t5gemma2"])
def test_t5gemma_reads_what_its_tokenizer_frames_and_writes_from_the_start_it_is_given(
    tiny: Tiny, style: str
) -> None:
    student = tiny(style)
    a = student.encode("a")
    assert student.source_ids(TASK, "a") == [2, *a], "its tokenizer closes no text"
    assert student.start_id == 2 and student.target_ids(TASK, "a") == [*a, 1]
    assert student.max_source_tokens == 256


def test_t5_has_no_limit_of_its_own(tiny: Tiny) -> None:
    assert tiny("t5").max_source_tokens is None, (
        "positions are relative; model_max_length 512 is no limit"
    )


def test_causal_ids_are_made_piece_by_piece(tiny: Tiny) -> None:
    student = prepare(tiny("llama"), TASK, path="uni")
    es, as_ = student.markers["ES"], student.markers["AS"]
    expected = [
        0,
        *student.encode(QUESTION + "\n"),
        es,
        *student.encode("Ann has"),
        as_,
        *student.encode("so 7"),
    ]
    assert student.source_ids(TASK, QUESTION, [("ES", "Ann has"), ("AS", "so 7 ")]) == [
        *expected,
        es,
    ]
    assert student.source_ids(TASK, QUESTION) == [0, *student.encode(QUESTION + "\n")], (
        "direct: no marker"
    )


def test_a_chat_model_reads_the_question_as_a_users_turn(tiny: Tiny) -> None:
    student = tiny("qwen")
    shown = student.tokenizer.decode(student.source_ids(TASK, QUESTION))
    assert shown == f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"


def test_a_question_is_rendered_once_and_anew_after_other_demonstrations(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = prepare(tiny("qwen"), TASK, path="uni")
    rendered, render = [], student_module.chat_text
    monkeypatch.setattr(
        student_module, "chat_text", lambda *words: rendered.append(1) or render(*words)
    )
    first = student.source_ids(TASK, QUESTION)
    first.append(-1)  # the caller's list is its own
    prefix = [("ES", "Ann has 3 boxes,")]
    assert student.source_ids(TASK, QUESTION, prefix)[: len(first) - 1] == first[:-1]
    assert len(rendered) == 1
    prepare(student, TASK, path="uni", demonstrations=[("What is 1 + 1?", "2. The answer is 2.")])
    assert len(student.source_ids(TASK, QUESTION)) > len(first) and len(rendered) == 2


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_one_row_holds_every_example_of_a_chain(tiny: Tiny, style: str) -> None:
    student = prepare(tiny(style), TASK, path="uni")
    segments = [("ES", "Ann has 3 boxes,"), ("AS", "so 12 pens."), ("ES", "The answer is 12.")]
    ids, mask = student.chain_ids(TASK, QUESTION, segments)
    taught = [i for i, on in zip(ids, mask, strict=True) if on]
    separate: list[int] = []
    for place, (kind, text) in enumerate(segments):
        source = student.source_ids(TASK, QUESTION, segments[:place], cue=kind)
        following = segments[place + 1][0] if place + 1 < len(segments) else None
        target = student.target_ids(TASK, text, following is None, following)
        assert ids[: len(source) + len(target)] == source + target
        separate += target
    assert taught == separate
    assert taught[-1] == student.end_id, "pad = end: the end must be taught all the same"


def test_a_chain_that_opens_with_as_has_an_empty_es_first(tiny: Tiny) -> None:
    student = prepare(tiny("llama"), TASK, path="dual")
    ids, mask = student.chain_ids(TASK, "Q", [("AS", "so 7")])
    start = mask.index(True)
    assert ids[start - 1 : start + 1] == [student.markers["ES"], student.markers["AS"]]
    own, other = (student.chain_ids(TASK, "Q", [("AS", "so 7")], role=k)[1] for k in ("ES", "AS"))
    assert [a != b for a, b in zip(own, other, strict=True)] == mask, (
        "each half learns its own, together all"
    )
    assert sum(own) == 1


def test_targets_of_tasks_without_closing_end_in_the_stop_token(tiny: Tiny) -> None:
    task = replace(TASK, closing=None, closing_pattern=None)
    student = prepare(tiny("t5"), task, path="uni")
    assert student.target_ids(task, "so 7", last=True)[-2:] == [student.stop_id, student.end_id]
    assert student.stop_id not in student.target_ids(task, "so 7")
    assert student.text(student.target_ids(task, "so 7", last=True)).endswith("<STOP>")
    with pytest.raises(StudentError, match=r"ends chains in <STOP>.*prepare"):
        tiny("t5").target_ids(task, "so 7", last=True)


def test_a_missing_marker_is_named(tiny: Tiny) -> None:
    with pytest.raises(StudentError, match="never added"):
        tiny("llama").source_ids(TASK, QUESTION, PREFIX)


def test_clean_up_of_spaces_does_not_eat_text(tiny: Tiny) -> None:
    student = tiny("llama")
    student.tokenizer.clean_up_tokenization_spaces = True
    assert student.text(student.encode("do n't , 3 .")) == "do n't , 3 ."


def test_a_question_too_long_is_a_users_mistake(tiny: Tiny) -> None:
    with pytest.raises(DataError, match="row 4: needs 200 tokens, tiny-bart reads 128"):
        tiny("bart").require_room([0] * 200, "row 4")
    tiny("t5").require_room([0] * 2000, "row 4")
    with pytest.raises(DataError, match="reads 256"):
        tiny("llama").require_room([0] * 200, "row 4", new_tokens=100)


def test_ids_that_are_remembered_are_forgotten_when_tokens_are_added(tiny: Tiny) -> None:
    student = tiny("t5")
    before = student.encode("Ann has 3 § boxes")
    before.append(7)
    assert student.encode("Ann has 3 § boxes") == before[:-1], "the caller's list is its own"
    prepare(student, TASK, path="direct", texts=["Ann has 3 § boxes"])
    again = student.encode("Ann has 3 § boxes")
    assert again != before[:-1] and student.text(again) == "Ann has 3 § boxes"


def test_what_a_student_remembers_is_bounded(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallsteps.students.student.CACHED_TEXTS", 3)
    student = tiny("t5")
    for number in range(10):
        student.encode(f"{number} pens")
    assert len(student._ids_by_text) <= 3
