"""The stage `data` read by others than its run: what it holds, or one line on what is wrong."""

import json

import pytest

from smallsteps.errors import RunFolderError
from smallsteps.experiment.data import load_data
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.stored_data import (
    PROBLEMS,
    read_json_lines,
    read_questions,
    read_test_part,
)
from smallsteps.tasks.files import write_rows

from .pen_rows import chain_rows, recipe_of


@pytest.fixture(params=[True, False])
def stored(tmp_path, request):
    """(run folder, its data as the run has them), with chains and with questions alone."""
    write_rows(tmp_path / "chains.jsonl", chain_rows(60))
    recipe = recipe_of({"chains": str(tmp_path / "chains.jsonl")})
    with run_folder(tmp_path / "run", recipe.digest(), recipe.to_yaml()) as run:
        return tmp_path / "run", load_data(recipe, run, request.param)


def test_others_read_what_the_run_has(stored):
    folder, data = stored
    task, problems, gold = read_test_part(folder)
    assert (task.name, problems, gold) == (data.task.name, list(data.test), list(data.gold))
    for part, wanted in (("train", data.train), ("validation", data.validation)):
        assert read_questions(folder, part) == [problem.question for problem in wanted]


@pytest.mark.parametrize("content", [None, "{", '{"id": 1}\n'])
def test_a_missing_or_damaged_file_is_one_line_with_what_to_type(stored, content):
    folder, _ = stored
    path = folder / "data" / PROBLEMS
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"data: missing or damaged .*run's command again"):
        read_test_part(folder)


def test_a_line_separator_inside_a_chain_does_not_cut_its_row(tmp_path):
    row = {"text": "one\u2028two\x85three"}
    (tmp_path / "rows.jsonl").write_text(
        json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    assert read_json_lines(tmp_path / "rows.jsonl") == [row]
