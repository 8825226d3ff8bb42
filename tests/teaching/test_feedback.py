"""Feedback rows: exact round trip, one clear error for each bad row, lines that survive kills."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.teaching.feedback import Feedback, append_feedback, latest, now, read_feedback

JUDGEMENT = Feedback(
    id="q-1",
    question="How many apples are 2 + 2?",
    rationale="2 + 2 = 5. The answer is 5.",
    answer="5",
    verdict="wrong",
    edited="2 + 2 = 4. The answer is 4.",
    student="runs/demo/best",
    time="2026-01-31T12:00:00+00:00",
)


def test_an_appended_judgement_is_read_back_as_it_was_and_null_is_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "feedback.jsonl"
    right = replace(JUDGEMENT, verdict="right", edited=None, answer=None, rationale="Zwölf\u2028.")
    append_feedback(file, JUDGEMENT)
    append_feedback(file, right)
    assert read_feedback(file) == [JUDGEMENT, right]
    fields = ["id", "question", "rationale", "answer", "verdict", "edited", "student", "time"]
    assert list(json.loads(file.read_bytes().split(b"\n")[1])) == fields


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("verdict", "maybe", "field 'verdict' must be right or wrong, got \"maybe\"."),
        ("verdict", None, "no field 'verdict'."),
        ("question", " ", "field 'question' is empty."),
        ("rationale", 5, "field 'rationale' must be text, got a number: 5."),
        ("edited", "", "field 'edited' is empty."),
        ("edited", ["4"], "field 'edited' must be text or null, got [\"4\"]."),
        ("answer", ["4"], "field 'answer' must be text or a number, got a list"),
        ("id", None, "no field 'id'."),
        ("time", "yesterday", "field 'time' must be a date with time and zone"),
        ("time", "2026-01-31T12:00:00", "field 'time' must be a date with time and zone"),
        ("editted", "x", "no field of feedback: 'editted'. Did you mean 'edited'?"),
    ],
)
def test_a_bad_row_is_one_line_that_names_file_line_and_field(
    tmp_path: Path, field: str, value: object, message: str
) -> None:
    file = tmp_path / "feedback.jsonl"
    append_feedback(file, JUDGEMENT)
    with file.open("a") as rows:
        rows.write(json.dumps({**JUDGEMENT.to_row(), field: value}) + "\n")
    with pytest.raises(DataError, match=re.escape(f"{file}:2: {message}")) as error:
        read_feedback(file)
    assert "\n" not in str(error.value)


def test_chains_are_no_feedback(tmp_path: Path) -> None:
    file = tmp_path / "chains.jsonl"
    file.write_text('{"id": "1", "question": "?", "rationale": "r", "answer": "4"}\n')
    with pytest.raises(
        DataError, match=r"chains\.jsonl:1: no row of feedback: it has no 'verdict'"
    ):
        read_feedback(file)


def test_numbers_are_read_as_answers_and_ids(tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    file.write_text(json.dumps({**JUDGEMENT.to_row(), "id": 7, "answer": 5.0}) + "\n")
    (judgement,) = read_feedback(file)
    assert (judgement.id, judgement.answer) == ("7", "5")


def test_the_last_judgement_of_a_chain_counts_and_other_chains_of_its_question_stay() -> None:
    other = replace(JUDGEMENT, rationale="2 + 2 = 6. The answer is 6.")
    changed = replace(
        JUDGEMENT, verdict="right", edited=None, question="How many apples are 2 + 2? "
    )
    assert latest([JUDGEMENT, other, changed]) == [2, 1]


def test_a_line_that_a_kill_cut_off_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    file.write_text('{"id": "q-1", "quest')
    append_feedback(file, JUDGEMENT)
    with pytest.raises(DataError, match=r"feedback\.jsonl:1: broken JSON"):
        read_feedback(file)
    lines = file.read_text().splitlines()
    assert Feedback.from_row(json.loads(lines[1])) == JUDGEMENT


def test_lines_of_several_writers_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    judgements = [replace(JUDGEMENT, id=f"{k}", rationale="long " * 2000) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda judgement: append_feedback(file, judgement), judgements))
    assert sorted(int(judgement.id) for judgement in read_feedback(file)) == list(range(40))


@pytest.mark.skipif(os.name != "posix", reason="no limit of a file's size here")
def test_of_a_line_for_which_there_is_no_room_nothing_stays(tmp_path: Path) -> None:
    """The trap: a disk that is nearly full takes the beginning of a line and reports no error."""
    import resource

    file = tmp_path / "feedback.jsonl"
    append_feedback(file, JUDGEMENT)
    before, (soft, hard) = file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        with pytest.raises(DataError, match="could not be written"):
            append_feedback(file, JUDGEMENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    append_feedback(file, JUDGEMENT)
    assert len(read_feedback(file)) == 2


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be written"):
        append_feedback(tmp_path, JUDGEMENT)


def test_the_time_of_a_judgement_made_now_is_valid() -> None:
    assert replace(JUDGEMENT, time=now()).time.endswith("+00:00")
