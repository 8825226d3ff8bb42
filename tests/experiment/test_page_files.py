"""What an arm wrote is read back as it was written; a damaged line is named by file and number."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import RunFolderError
from smallsteps.experiment.page_files import (
    ArmFiles,
    GoldChain,
    read_arm_files,
    read_test_set,
    write_arm_files,
    write_test_set,
)
from smallsteps.records import Grade, Prediction, Problem

LINE_SEPARATOR = "\u2028"
"""What real chains hold and `splitlines` would cut at."""


def test_the_files_of_an_arm_are_read_back_with_what_only_its_method_has(tmp_path: Path) -> None:
    files = ArmFiles(
        [Prediction("a", "p", f"So{LINE_SEPARATOR}7.", (("AS", "So 7."),), "7", "end")],
        [Grade("g", "a", 1.0, "7", "7", True)],
        [{"update": 1, "tokens": 10, "train_loss": 3.0}],
        {"fates": [{"question": "Why?", "mistaken": [True, False]}]},
    )
    write_arm_files(tmp_path / "arm", files)
    assert read_arm_files(tmp_path / "arm") == files


def test_an_arm_that_trains_nothing_has_no_file_of_curves(tmp_path: Path) -> None:
    write_arm_files(tmp_path, ArmFiles([], []))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "grades.jsonl",
        "predictions.jsonl",
    ]
    assert read_arm_files(tmp_path) == ArmFiles([], [], [])


def test_a_folder_without_files_is_an_arm_that_wrote_nothing(tmp_path: Path) -> None:
    assert read_arm_files(tmp_path / "missing") == ArmFiles([], [], [])


def test_gold_chains_keep_their_entropies_and_what_cut_them(tmp_path: Path) -> None:
    problems = [Problem("p", "How many?", "7"), Problem("q", "Why?")]
    gold = [
        GoldChain("p", (("ES", "So "), ("AS", "7.")), (("So ", 0.5), ("7.", 1.25)), "inter"),
        GoldChain("q", (("ES", "So."),)),
    ]
    write_test_set(tmp_path, problems, gold)
    assert read_test_set(tmp_path) == (problems, gold)


def test_without_gold_chains_there_is_no_file_of_them(tmp_path: Path) -> None:
    write_test_set(tmp_path, [Problem("p", "How many?")], gold=())
    assert [path.name for path in tmp_path.iterdir()] == ["problems.jsonl"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "problems.jsonl",
            '{"id": "a", "question": "q"}\n{"id"',
            r":2: expected one JSON object \(Expecting .* at column 6\)\. Delete the file",
        ),
        ("problems.jsonl", "[]", r":1: expected one JSON object, found list"),
        ("problems.jsonl", '{"id": "a", "questoin": "q"}', ":1: Problem has no field 'questoin'"),
        (
            "gold.jsonl",
            '{"problem_id": "a"}',
            r":1: expected problem_id, segments \[\{kind, text\}",
        ),
        ("gold.jsonl", '{"problem_id": "a", "segments": [5]}', ":1: expected problem_id, segments"),
    ],
)
def test_a_damaged_line_is_named_by_file_and_number(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match=rf"{name}{message}"):
        read_test_set(tmp_path)
