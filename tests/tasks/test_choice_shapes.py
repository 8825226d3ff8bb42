"""Multiple choice as the hub has it comes out as choices and the text of the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_problems, write_rows

Row = dict[str, Any]
PAIR = {"label": ["A", "B"], "text": ["zoo", "river"]}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Where?", "choices": PAIR, "answerKey": "B"},
        {
            "question": "Where?",
            "choices": {"label": ["1", "2"], "text": ["zoo", "river"]},
            "answerKey": "2",
        },
        {
            "question": {
                "stem": "Where?",
                "choices": [{"label": "A", "text": "zoo"}, {"label": "B", "text": "river"}],
            },
            "answerKey": "B",
        },
        {"question_stem": "Where?", "choices": PAIR, "answerKey": "B"},
        {"question": "Where?", "choices": ["zoo", "river"], "answer": 1},
        {"question": "Where?", "choices": ["zoo", "river"], "answer": "river"},
        {"question": "Where?", "choices": ["zoo", "river"], "answer": "B"},
        {"question": "Where?", "choices": '["zoo", "river"]', "answer": "B"},
        {"question": "Where?", "options": ["A)zoo", "B)river"], "rationale": "So.", "correct": "B"},
        {
            "question": "Where?",
            "options": {"A": "zoo", "B": "river"},
            "answer": "river",
            "answer_idx": "B",
        },
    ],
)
def test_choices_with_labels_give_their_texts(tmp_path: Path, row: Row) -> None:
    write_rows(tmp_path / "c.jsonl", [row])
    (problem,) = read_problems(tmp_path / "c.jsonl", get_task("commonsenseqa"))
    assert (problem.question, problem.choices, problem.answer) == (
        "Where?",
        ("zoo", "river"),
        "river",
    )


def test_a_number_among_the_choices_is_no_place(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "c.jsonl", [{"question": "How many?", "choices": ["1", "0"], "answer": 1}]
    )
    assert read_problems(tmp_path / "c.jsonl", get_task("commonsenseqa"))[0].answer == "1"
