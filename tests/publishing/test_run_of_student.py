"""The example of a card is a question of the run that the student comes from, or none at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smallsteps.disk import CARD
from smallsteps.publishing.run_of_student import (
    LONGEST_EXAMPLE,
    example_of,
    example_question,
    run_folder_of,
)
from smallsteps.students.driving import PLACEHOLDER
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows

TASK = get_task("svamp")
LONG = "How many pens? " * LONGEST_EXAMPLE


def question_row(question: str) -> dict[str, object]:
    return {"id": question[:8], "question": question}


def chain_row(question: str) -> dict[str, object]:
    rationale = {"id": "r", "problem_id": question[:8], "text": "It is 7."}
    return {"problem": question_row(question), "rationale": rationale}


def test_the_first_short_test_question_is_taken(tmp_path: Path) -> None:
    rows = [question_row(text) for text in (LONG, "two\nlines?", "-3 + 7?", "3 + 4?", "5 + 6?")]
    write_rows(tmp_path / "data/problems.jsonl", rows)
    write_rows(tmp_path / "data/train.jsonl", [chain_row("1 + 1?")])
    assert example_question(tmp_path, TASK).question == "3 + 4?"


@pytest.mark.parametrize("row_of", [question_row, chain_row])
def test_without_a_short_test_question_one_of_training_is_taken(
    tmp_path: Path, row_of: object
) -> None:
    write_rows(tmp_path / "data/problems.jsonl", [question_row(LONG)])
    assert callable(row_of)
    write_rows(tmp_path / "data/train.jsonl", [row_of(LONG), row_of("1 + 1?")])
    assert example_question(tmp_path, TASK).question == "1 + 1?"


def test_a_question_is_as_long_as_its_context_makes_it(tmp_path: Path) -> None:
    rows = [
        question_row("Who?") | {"context": [["Ann", [LONG]]]},
        question_row("Where?") | {"context": [["Bo", ["Bo is here."]]]},
    ]
    write_rows(tmp_path / "data/problems.jsonl", rows)
    assert example_question(tmp_path, get_task("hotpotqa")).question == "Where?"


@pytest.mark.parametrize("content", [None, "", "{", "[1]\n", '{"id": 1}\n'])
def test_without_data_that_can_be_read_the_placeholder_stands(
    tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "data").mkdir()
    if content is not None:
        (tmp_path / "data/problems.jsonl").write_text(content)
    assert example_question(tmp_path, TASK) is PLACEHOLDER
    assert example_question(None, TASK) is PLACEHOLDER
    assert example_question(tmp_path, None) is PLACEHOLDER


def carded(folder: Path, example: object) -> Path:
    """A folder whose card has this example in its metadata."""
    folder.mkdir(parents=True)
    metadata = yaml.safe_dump({"smallsteps": {"example": example}})
    (folder / CARD).write_text(f"---\n{metadata}---\n", encoding="utf-8")
    return folder


def test_a_student_in_no_run_keeps_the_question_on_its_card(tmp_path: Path) -> None:
    folder = carded(tmp_path / "one", {"question": "3 + 4?"})
    assert example_of(folder, TASK).question == "3 + 4?"
    run = carded(tmp_path / "run/student", {"question": "3 + 4?"})
    for name in ("run.json", "recipe.yaml"):
        (tmp_path / "run" / name).write_text("{}", encoding="utf-8")
    assert example_of(run, TASK) is PLACEHOLDER, "of a run its data tell"


@pytest.mark.parametrize(
    "example",
    [
        {"question": LONG},
        {"question": "-rf 3?"},
        {"question": 7},
        {"question": "3?", "choices": 7},
        {"question": "3?", "colour": "red"},
        "3 + 4?",
        None,
    ],
)
def test_a_card_changed_by_hand_gives_the_placeholder(tmp_path: Path, example: object) -> None:
    folder = carded(tmp_path / "one", example)
    assert example_of(folder, get_task("commonsenseqa")) is PLACEHOLDER


def test_the_run_above_a_student_is_found_with_its_recipe_alone(tmp_path: Path) -> None:
    student = tmp_path / "run/arms/direct-seed0/training/candidate-3"
    student.mkdir(parents=True)
    (tmp_path / "run/run.json").write_text("{}")
    assert run_folder_of(student) is None, "no recipe: another program's run.json"
    (tmp_path / "run/recipe.yaml").write_text("")
    assert run_folder_of(student) == tmp_path / "run"
    assert run_folder_of(tmp_path / "run") is None
