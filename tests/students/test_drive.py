"""`smallsteps.json`: plain JSON that comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.errors import StudentError
from smallsteps.students.drive import Drive
from smallsteps.students.student import Student
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")


def test_a_drive_is_plain_json(tmp_path: Path) -> None:
    drive = Drive("pet", "uni", cue=True, characters=("\n", "{"), spaces=True)
    (tmp_path / "smallsteps.json").write_text(drive.to_json(), encoding="utf-8")
    assert json.loads(drive.to_json())["characters"] == ["\n", "{"]
    assert Drive.from_file(tmp_path / "smallsteps.json") == drive


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"task": "gsm8k", "pth": "uni"}', r"no field 'pth'\. Did you mean 'path'"),
        ('{"task": ', "expected one JSON object \\(Expecting value at column"),
        ('{"path": "uni"}', "expected an object with at least 'task'"),
        ("[1]", "expected an object with at least 'task'"),
    ],
)
def test_a_file_that_is_no_drive_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "smallsteps.json").write_text(content, encoding="utf-8")
    with pytest.raises(StudentError, match=message):
        Drive.from_file(tmp_path / "smallsteps.json")


def test_demonstrations_come_back_as_pairs(tmp_path: Path) -> None:
    drive = Drive("gsm8k", demonstrations=(("Why?", "So."),))
    (tmp_path / "smallsteps.json").write_text(drive.to_json(), encoding="utf-8")
    assert Drive.from_file(tmp_path / "smallsteps.json").demonstrations == (("Why?", "So."),)
