"""Training, validation and test part: made or read, chain by chain."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.data_parts import PARTS, check_bundled, store_parts
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.stored_rows import StoredRows, chain_in_row
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, write_rows
from smallsteps.tasks.splits import split_problems
from tiny_runs import tiny_content

from .pen_rows import chain_rows, recipe_of


@pytest.fixture
def file(tmp_path):
    write_rows(tmp_path / "chains.jsonl", chain_rows(30))
    return str(tmp_path / "chains.jsonl")


def test_a_limit_takes_the_first_rows_of_the_files(tmp_path, file):
    recipe = recipe_of({"chains": file, "limit": 20})
    facts = store_parts(recipe.data, get_task("numbers"), tmp_path)
    assert facts["chains"] == 20
    parts = [StoredRows(tmp_path / f"{name}.jsonl", chain_in_row) for name in PARTS]
    assert [len(part) for part in parts] == [16, 2, 2]
    ids = {chain.problem.id for part in parts for chain in part}
    assert ids == {f"q{n}" for n in range(1, 21)}


def test_a_split_of_a_stream_is_the_split_of_a_list(tmp_path, file):
    rows = [*chain_rows(30), {**chain_rows(1)[0], "id": "again"}]
    write_rows(file, rows)
    store_parts(recipe_of({"chains": file}).data, get_task("numbers"), tmp_path)
    split = split_problems(read_chains(file, "numbers").chains, seed=0)
    for name in PARTS:
        assert list(StoredRows(tmp_path / f"{name}.jsonl", chain_in_row)) == getattr(split, name)
    assert not (tmp_path / "all.jsonl").exists()


@pytest.mark.parametrize("given", [("validation",), ("test",), ("validation", "test")])
def test_parts_with_files_of_their_own_take_nothing_of_the_chains(tmp_path, file, given):
    paths = {name: str(tmp_path / f"given-{name}.jsonl") for name in given}
    for first, path in enumerate(paths.values(), start=1):
        write_rows(path, chain_rows(4, 50 * first))
    store_parts(recipe_of({"chains": file, **paths}).data, get_task("numbers"), tmp_path)
    parts = {name: StoredRows(tmp_path / f"{name}.jsonl", chain_in_row) for name in PARTS}
    for name, path in paths.items():
        assert list(parts[name]) == read_chains(path, "numbers").chains
    assert len(parts["train"]) == (30 if len(given) == 2 else 27)


def test_an_id_in_two_files_is_refused(tmp_path, file):
    write_rows(tmp_path / "more.jsonl", chain_rows(1, 7))
    recipe = recipe_of({"chains": [file, str(tmp_path / "more.jsonl")]})
    with pytest.raises(DataError, match=r"^q7: this id stands in two of the files"):
        store_parts(recipe.data, get_task("numbers"), tmp_path)


def test_only_tasks_with_a_generator_have_bundled_chains():
    content = tiny_content()
    check_bundled(make_recipe(content).data)
    with pytest.raises(RecipeError, match=r"not 'numbers': set data\.task"):
        check_bundled(make_recipe(tiny_content(data={"task": "numbers"})).data)
