"""A file of rows and the task that reads it."""

from __future__ import annotations

import pytest

from smallsteps.cli.input_file import InputFile
from smallsteps.errors import RecipeError
from smallsteps.tasks.files import write_rows


def test_the_task_is_in_the_language_of_the_file(tmp_path):
    row = {"id": "1", "frage": "Ann hat 3 Stifte und kauft 4. Wie viele Stifte hat sie jetzt?"}
    write_rows(tmp_path / "q.jsonl", [{**row, "id": str(n)} for n in range(20)])
    lines: list[str] = []
    source = InputFile(tmp_path / "q.jsonl", "numbers", {"question": "frage"})
    assert source.task(lines.append).language == "de"
    assert len(lines) == 1


def test_an_unknown_task_gets_the_nearest_name(tmp_path):
    with pytest.raises(RecipeError, match="Did you mean 'numbers'"):
        InputFile(tmp_path / "q.jsonl", "number").task(print)
