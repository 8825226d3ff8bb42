"""`smallsteps quality` as a person types it."""

from __future__ import annotations

import json

import pytest

from smallsteps.cli.main import main
from smallsteps.quality.aspects import ASPECTS
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import write_rows


@pytest.fixture
def rationales(tmp_path):
    rows = [
        {
            "id": c.problem.id,
            "question": c.problem.question,
            "context": c.problem.context,
            "rationale": c.rationale.text,
        }
        for c in make_chains(12, 3)
    ]
    rows[5]["rationale"] = ""
    write_rows(tmp_path / "r.jsonl", rows)
    return tmp_path / "r.jsonl"


def scored(source, *options):
    out = source.with_name("q.jsonl")
    code = main(["quality", str(source), "--task", "facts", "--out", str(out), *options])
    return code, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def test_a_row_for_each_with_null_where_something_is_missing(rationales, capsys):
    code, rows = scored(rationales)
    assert code == 0 and [row["id"] for row in rows] == [f"facts-3-{n}" for n in range(12)]
    assert all(set(row) == {"id", *ASPECTS} for row in rows)
    assert all(row["fluency"] is None and row["naturalness"] is None for row in rows)
    assert rows[5]["factuality"] == 0 and rows[0]["factuality"] > 0.8
    assert "needs --student" in capsys.readouterr().out
    code, rows = scored(rationales, "--student", "bundled", "--reference", str(rationales))
    assert code == 2, "a reference without text is none"
    whole = rationales.with_name("whole.jsonl")
    whole.write_text(
        "".join(line + "\n" for line in rationales.read_text().splitlines() if '"rationale": ""' not in line)
    )
    code, rows = scored(rationales, "--student", "bundled", "--reference", str(whole))
    assert code == 0 and all(0 <= row[name] <= 1 for row in rows for name in ASPECTS)


def test_rationales_without_contexts_are_scored_as_far_as_they_can_be(tmp_path, capsys):
    rows = [{"id": "a", "question": "How many pens are 3 x 4?", "rationale": "There are 3 x 4 = 12. The answer is 12."}]
    write_rows(tmp_path / "r.jsonl", rows)
    out = tmp_path / "q.jsonl"
    assert main(["quality", str(tmp_path / "r.jsonl"), "--task", "numbers", "--out", str(out)]) == 0
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    needs = ("factuality", "relevance", "logicality", "consistency")
    assert [row[name] for name in needs] == [None] * 4 and row["coherence"] > 0 and row["readability"] > 0
    assert capsys.readouterr().out.count("needs a context") == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": []}, "no context"),
        ({"context": None}, "no context"),
        ({"rationale": None}, "no field 'rationale'"),
        ({"question": ""}, "'question' is empty"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(rationales, change, message, capsys):
    rows = [json.loads(line) for line in rationales.read_text().splitlines()]
    write_rows(rationales, [rows[0], {**rows[1], **change}])
    assert scored(rationales) == (2, [])
    said = capsys.readouterr().err
    assert message in said and "r.jsonl:2" in said
