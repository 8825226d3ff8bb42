"""Contexts of HotpotQA and MuSiQue as the hub has them come out as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.context_shapes import parsed_cell
from smallsteps.tasks.files import read_problems, write_rows

HUB = {"title": ["Rome", "Oslo"], "sentences": [["Rome is old.", "It is big."], ["Oslo is cold."]]}


def test_hotpotqa_is_read_as_the_hub_has_it(tmp_path: Path) -> None:
    row = {
        "_id": "5a",
        "question": "What is old?",
        "answer": "Rome",
        "type": "bridge",
        "context": HUB,
    }
    facts = {"title": ["Rome"], "sent_id": [0]}
    write_rows(tmp_path / "h.jsonl", [{**row, "supporting_facts": facts}])
    said: list[str] = []
    (problem,) = read_problems(tmp_path / "h.jsonl", get_task("hotpotqa-gold"), say=said.append)
    assert problem.context == (
        ("Rome", ("Rome is old.", "It is big.")),
        ("Oslo", ("Oslo is cold.",)),
    )
    assert (problem.id, problem.meta["supporting_facts"]) == ("5a", [["Rome", 0]])
    assert (
        get_task("hotpotqa-gold").render(problem)
        == "What is old? Context: Rome: Rome is old. It is big."
    )
    assert "contexts in columns (`title`, `sentences`) (1 row)" in said[0]


def test_paragraphs_may_be_objects(tmp_path: Path) -> None:
    context = [
        {"idx": 0, "title": "Rome", "paragraph_text": "Rome is old."},
        {"title": "Oslo", "sentences": ["Cold."]},
    ]
    write_rows(tmp_path / "m.jsonl", [{"question": "What?", "context": context}])
    (problem,) = read_problems(tmp_path / "m.jsonl", get_task("hotpotqa"))
    assert problem.context == (("Rome", ("Rome is old.",)), ("Oslo", ("Cold.",)))


def test_titles_without_sentences_are_counted_and_refused(tmp_path: Path) -> None:
    context = {"title": ["Rome", "Oslo"], "sentences": [["Rome is old."]]}
    write_rows(tmp_path / "h.jsonl", [{"question": "What?", "context": context}])
    with pytest.raises(DataError, match="has 2 titles and 1 lists of sentences"):
        read_problems(tmp_path / "h.jsonl", get_task("hotpotqa"))


@pytest.mark.parametrize("cell", ["[not json", "plain", 3, None])
def test_a_cell_that_holds_no_json_stays_as_it_is(cell: Any) -> None:
    assert parsed_cell(cell) == cell
    assert parsed_cell('["a"]') == ["a"]
