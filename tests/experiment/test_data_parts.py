"""Training, validation and test part: made or read, before anything is written."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.data_parts import check_bundled, read_parts
from smallsteps.experiment.recipe import make_recipe
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows
from tiny_runs import tiny_content

from .pen_rows import chain_rows, recipe_of


@pytest.fixture
def file(tmp_path):
    write_rows(tmp_path / "chains.jsonl", chain_rows(30))
    return str(tmp_path / "chains.jsonl")


def test_a_limit_takes_the_first_rows_of_the_files(tmp_path, file):
    recipe = recipe_of({"chains": file, "limit": 20})
    train, validation, test, facts = read_parts(recipe.data, get_task("numbers"))
    assert facts["chains"] == 20
    ids = {chain.problem.id for chain in (*train, *validation, *test)}
    assert ids == {f"q{n}" for n in range(1, 21)}


def test_an_id_in_two_files_is_refused(tmp_path, file):
    write_rows(tmp_path / "more.jsonl", chain_rows(1, 7))
    recipe = recipe_of({"chains": [file, str(tmp_path / "more.jsonl")]})
    with pytest.raises(DataError, match=r"^q7: this id stands in two of the files"):
        read_parts(recipe.data, get_task("numbers"))


def test_only_tasks_with_a_generator_have_bundled_chains():
    content = tiny_content()
    check_bundled(make_recipe(content).data)
    with pytest.raises(RecipeError, match=r"not 'numbers': set data\.task"):
        check_bundled(make_recipe(tiny_content(data={"task": "numbers"})).data)
