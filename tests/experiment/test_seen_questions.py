"""Questions that a student was trained on: counted where it lies in a run, silent elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsteps.experiment.seen_questions import seen_warning
from smallsteps.records import Problem
from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.tasks.files import write_rows

PROBLEMS = [Problem(f"p{n}", f"How many are {n} + 1?", str(n + 1)) for n in range(6)]
"""Of these, 0 to 2 are trained on and 3 is for validation."""


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """The folder of a student in a run."""
    run = tmp_path / "mine"
    folder = run / "arms/direct-seed0/training/candidate-3"
    folder.mkdir(parents=True)
    (folder / DRIVE_FILE).write_text(Drive("numbers").to_json())
    (run / "run.json").write_text("{}")
    (run / "data").mkdir()
    chains = [{"problem": problem.to_row(), "rationale": {}} for problem in PROBLEMS[:3]]
    write_rows(run / "data/train.jsonl", [*chains, chains[0]])
    write_rows(run / "data/validation.jsonl", [PROBLEMS[3].to_row()])
    return folder


def test_questions_of_training_and_validation_are_counted(student: Path, tmp_path: Path) -> None:
    asked = [Problem("other-id", f" {PROBLEMS[0].question.upper()} "), *PROBLEMS[2:]]
    assert seen_warning(student, asked) == (
        "warning: not all of these 5 questions are new to the student: its run "
        f"{tmp_path / 'mine'} trained on 2 of them and chose the student by 1 of them. The figure "
        "says little about new questions"
    )


def test_new_questions_and_students_outside_a_run_are_silent(student: Path, tmp_path: Path) -> None:
    assert seen_warning(student, PROBLEMS[4:]) == ""
    for name in ("bundled", "owner/model", str(tmp_path)):
        assert seen_warning(name, PROBLEMS) == ""
    (student / DRIVE_FILE).write_text(Drive("numbers", trained=False).to_json())
    assert seen_warning(student, PROBLEMS) == "", "before training it has seen none"


def test_a_damaged_run_does_not_take_the_answers_away(student: Path, tmp_path: Path) -> None:
    (tmp_path / "mine/data/train.jsonl").write_text(json.dumps([1]) + "\n{")
    assert seen_warning(student, PROBLEMS) == ""
