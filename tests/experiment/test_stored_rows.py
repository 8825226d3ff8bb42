"""Rows on the disk, used like a list."""

from __future__ import annotations

import pytest

from smallsteps import streams
from smallsteps.experiment.stored_rows import (
    ProblemsOnDisk,
    StoredRows,
    at,
    chain_in_row,
    on_disk_if_many,
    problem_in_row,
    row_of_chain,
    those,
)
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


def test_chosen_rows_stay_on_the_disk_and_rows_of_a_list_in_a_list(stored, chains):
    some = at(stored, [4, 1, 3])
    assert isinstance(some, StoredRows) and list(some) == [chains[4], chains[1], chains[3]]
    assert some[0] == chains[4] and some[1:] == [chains[1], chains[3]] and len(some) == 3
    assert list(at(some, [2, 0])) == [chains[3], chains[4]]
    assert at(chains, [4, 1]) == [chains[4], chains[1]]
    long = those(some, lambda chain: len(chain.problem.question) > 6)
    assert isinstance(long, StoredRows) and list(long) == [chains[4], chains[3]]
    assert those(chains, lambda chain: chain.problem.id == "q2") == [chains[2]]


def test_few_rows_are_read_into_memory(stored, chains, monkeypatch):
    assert on_disk_if_many(stored) == chains
    monkeypatch.setattr(streams, "KEPT", 4)
    assert on_disk_if_many(stored) is stored


def test_problems_of_stored_chains_come_once_in_their_order(tmp_path, chains):
    twice = [chains[1], chains[0], chains[1], chains[2], chains[0]]
    write_rows(tmp_path / "chains.jsonl", map(row_of_chain, twice))
    problems = ProblemsOnDisk(StoredRows(tmp_path / "chains.jsonl", chain_in_row))
    expected = [chains[place].problem for place in (1, 0, 2)]
    assert list(problems) == expected and len(problems) == 3
    assert problems[-1] == expected[-1] and problems[:2] == expected[:2]
