"""Rows on the disk, used like a list."""

from __future__ import annotations

import pytest

from smallsteps.experiment.stored_rows import StoredRows, chain_in_row, problem_in_row, row_of_chain
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.files import write_rows


@pytest.fixture
def chains():
    """Chains whose texts have several bytes a character, and a line separator that ends no row."""
    return [
        Chain(Problem(f"q{n}", f"Wie {'ü' * n}?", "1"), Rationale(f"q{n}/r", f"q{n}", "So\u20281."))
        for n in range(5)
    ]


@pytest.fixture
def stored(tmp_path, chains):
    write_rows(tmp_path / "chains.jsonl", map(row_of_chain, chains))
    return StoredRows(tmp_path / "chains.jsonl", chain_in_row)


def test_stored_rows_are_the_list_that_was_written(stored, chains):
    assert len(stored) == 5 and list(stored) == list(stored) == chains
    assert [stored[place] for place in (0, 3, -1)] == [chains[place] for place in (0, 3, -1)]
    assert stored[1:4] == chains[1:4] and stored[::-2] == chains[::-2] and stored[9:] == []
    assert list(reversed(stored)) == chains[::-1]
    with pytest.raises(IndexError):
        stored[5]


def test_the_same_file_gives_problems_alone(stored, chains):
    assert list(StoredRows(stored.path, problem_in_row)) == [chain.problem for chain in chains]


def test_an_empty_file_is_an_empty_sequence(tmp_path):
    write_rows(tmp_path / "none.jsonl", [])
    assert not StoredRows(tmp_path / "none.jsonl", chain_in_row)
