"""Replies from a file: order, samples, attempts, thoughts and bad rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.teaching.lessons import Lesson, TeacherReply
from smallsteps.teaching.reply_file import FileTeacher
from smallsteps.teaching.teach import retry_of


def test_replies_bought_elsewhere_are_handed_out_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "bought.jsonl"
    file.write_text(
        '{"id": "a", "rationale": "one"}\n{"id": "b", "rationale": "other"}\n{"id": "a", "rationale": "two"}\n'
    )
    teacher, problem = FileTeacher.read(file), Problem("a", "?", "1")
    replies: list[TeacherReply] = list(
        teacher.explain([Lesson(str(n), problem, sample=n) for n in range(3)])
    )
    assert [reply.text for reply in replies] == ["one", "two", None]
    assert replies[2].reason == "bought.jsonl holds 2 replies for this question"
    assert replies[0].tokens == 2, "words of question and reply"
    (wrong,) = teacher.explain([Lesson("w", problem, "5 + 5 = 11")])
    assert wrong.text is None and "this wrong rationale" in wrong.reason, (
        "what answers the question answers no mistake"
    )
    file.write_text('{"id": "a", "rationale": "no, 10", "attempt": "5 + 5 = 11"}\n')
    (correction,) = FileTeacher.read(file).explain([Lesson("w", problem, "5 + 5 = 11")])
    assert correction.text == "no, 10"
    assert FileTeacher.read(file).corrects and not teacher.corrects
    file.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"bought\.jsonl:1: `rationale` is missing"):
        FileTeacher.read(file)


@pytest.mark.parametrize(
    ("rationale", "thinking", "text", "reason"),
    [
        ("<think>9?</think>The answer is 7.", "drop", "The answer is 7.", ""),
        ("<think>9?</think>The answer is 7.", "only", "9?", ""),
        ("<think>9?", "drop", None, "unfinished thought"),
        ("The answer \\ud83d is 7.", "drop", "The answer \N{REPLACEMENT CHARACTER} is 7.", ""),
    ],
)
def test_a_row_of_a_file_is_read_as_a_models_reply_is(
    tmp_path: Path, rationale: str, thinking: Any, text: str | None, reason: str
) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"id": 5, "rationale": "{rationale}"}}\n')
    (reply,) = FileTeacher.read(tmp_path / "t.jsonl", thinking).explain(
        [Lesson("l", Problem("5", "?"))]
    )
    assert reply.text == text and reply.reason.startswith(reason)


def test_a_row_of_a_file_brings_its_own_answer_and_an_answer_of_another_type_is_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(
        '{"id": "a", "rationale": "So 7.", "answer": 7.0}\n{"id": "b", "rationale": "So 7."}\n'
    )
    lessons = [Lesson(id, Problem(id, "?")) for id in ("a", "b", "c")]
    teacher = FileTeacher.read(file)
    assert [(reply.unprompted, reply.answer) for reply in teacher.explain(lessons)][:2] == [
        (True, "7"),
        (True, None),
    ]
    assert teacher.forecast(lessons) == "file teacher: 2 replies for 2 of 3 questions, 0 calls"
    file.write_text('{"id": "a", "rationale": "So 7.", "answer": [7]}\n')
    with pytest.raises(
        DataError, match=r"t\.jsonl:1: field 'answer' must be text or a number, got a list"
    ):
        FileTeacher.read(file)


def test_the_answer_that_a_writer_ended_on_is_its_own_and_marked_rows_are_dropped(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(
        '{"id": "a", "rationale": "6 + 14.", "answer": "20", "predicted": 20.0, "correct": true}\n'
        '{"id": "b", "rationale": "So 7.", "answer": "7", "predicted": null, "correct": false}\n'
    )
    right, wrong = FileTeacher.read(file).explain(
        [Lesson(id, Problem(id, "How many?")) for id in ("a", "b")]
    )
    assert right.predicted == "20"
    assert wrong.text is None and wrong.reason == "marked `correct: false` in its file"
    file.write_text('{"id": "a", "rationale": "So 7.", "correct": "perhaps"}\n')
    with pytest.raises(DataError, match=r"t\.jsonl:1: field 'correct' must be true, false or null"):
        FileTeacher.read(file)


def test_a_second_file_answers_any_mistake_of_its_questions_after_rows_that_name_the_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").mkdir()
    first, second = tmp_path / "first/train.jsonl", tmp_path / "train.jsonl"
    first.write_text(
        '{"id": "a", "rationale": "one"}\n'
        '{"id": "a", "rationale": "no, 10", "attempt": "5 + 5 = 11"}\n'
        '{"id": "b", "rationale": "only here"}\n'
    )
    second.write_text('{"id": "a", "rationale": "two"}\n')
    teacher = FileTeacher.read(first, corrections=second)
    a, b = Problem("a", "?", "1"), Problem("b", "?", "1")

    def texts(problem: Problem, attempt: str | None) -> list[str | None]:
        lessons = [Lesson(str(n), problem, attempt, sample=n, turn=n) for n in range(3)]
        return [reply.text for reply in teacher.explain(lessons)]

    assert texts(a, "5 + 5 = 12") == ["two", None, None], "whatever the mistake"
    assert texts(a, "5 + 5 = 11") == ["no, 10", "two", None], "what names the mistake comes first"
    assert texts(a, None) == ["one", "two", None], "further samples of the question"
    assert texts(b, "5 + 5 = 12") == [None, None, None], "T_0 answers no mistake"
    assert teacher.corrects and teacher.forecast(
        [Lesson("l", a, "5 + 5 = 12"), Lesson("m", b, "5 + 5 = 12")]
    ) == ("file teacher: 1 replies for 1 of 2 questions, 0 calls")
    assert teacher.correctable([a, b]) == 1
    assert teacher.name == f"first/train.jsonl and {tmp_path.name}/train.jsonl", (
        "files that are called alike have their folders in their names"
    )
    monkeypatch.chdir(tmp_path)
    alike = FileTeacher.read("train.jsonl", corrections="first/train.jsonl")
    assert alike.name == "train.jsonl and first/train.jsonl"


def test_a_row_that_names_its_mistake_answers_it_whichever_mistake_of_its_question_it_is(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(
        '{"id": "a", "rationale": "no, 4", "attempt": "2 + 2 = 5"}\n'
        '{"id": "a", "rationale": "no, 10", "attempt": "5 + 5 = 11"}\n'
        '{"id": "a", "rationale": "still 10", "attempt": "5 + 5 = 11"}\n'
    )
    second.write_text('{"id": "a", "rationale": "x"}\n{"id": "a", "rationale": "y"}\n')
    teacher, problem = FileTeacher.read(first, corrections=second), Problem("a", "?", "1")
    mistakes = ["2 + 2 = 5", "another", "5 + 5 = 11"]
    lessons = [Lesson(str(n), problem, mistake, n) for n, mistake in enumerate(mistakes)]
    assert [reply.text for reply in teacher.explain(lessons)] == ["no, 4", "y", "no, 10"]
    (again,) = teacher.explain([retry_of(lessons[2], 1, samples=3)])
    assert again.text == "still 10", "a dropped reply is followed by the next row of the mistake"


@pytest.mark.parametrize("value", ["[1]", "{}", "7", "null", '" "'])
@pytest.mark.parametrize("field", ["id", "rationale", "attempt"])
def test_a_field_of_another_type_is_refused(tmp_path: Path, field: str, value: str) -> None:
    row = {"id": '"p"', "rationale": '"r"', field: value}
    (tmp_path / "t.jsonl").write_text(
        "{" + ", ".join(f'"{name}": {v}' for name, v in row.items()) + "}\n"
    )
    if (field, value) in (("id", "7"), ("attempt", "null")):
        FileTeacher.read(tmp_path / "t.jsonl")
        return
    with pytest.raises(DataError, match=rf"t\.jsonl:1: `{field}` is missing or no text"):
        FileTeacher.read(tmp_path / "t.jsonl")
