"""`smallsteps quality --sheet` and `--ratings` as a person types them."""

from __future__ import annotations

import csv
import json

import pytest

from smallsteps.cli.main import main
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import write_rows


@pytest.fixture
def rationales(tmp_path):
    rows = [
        {
            "id": f"gpt-{chain.problem.id}",
            "question": chain.problem.question,
            "context": chain.problem.context,
            "rationale": chain.rationale.text,
        }
        for chain in make_chains(12, 3)
    ]
    write_rows(tmp_path / "r.jsonl", rows)
    return tmp_path / "r.jsonl"


def quality(source, *options):
    return main(["quality", str(source), "--task", "facts", *map(str, options)])


def fill(path, aspect, rate):
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row[aspect] = rate(row)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_sheets_go_out_come_back_and_are_compared_with_a_judge(rationales, tmp_path, capsys):
    assert quality(rationales, "--sheet", tmp_path / "s.csv", "--raters", 2) == 0
    said = capsys.readouterr().out
    assert "12 rationales to rate in" in said and "s-scale.txt explains the scale" in said
    for n in (1, 2):
        fill(tmp_path / f"s-{n}.csv", "coherence", lambda row: 1 + len(row["rationale"]) % 5)
    assert quality(rationales, "--out", tmp_path / "lexical.jsonl") == 0
    capsys.readouterr()
    ratings = ["--ratings", tmp_path / "s-1.csv", "--ratings", tmp_path / "s-2.csv"]
    scores = ["--scores", tmp_path / "lexical.jsonl", "--out", tmp_path / "a.jsonl"]
    assert quality(rationales, *ratings, *scores) == 0
    said = capsys.readouterr().out
    assert "s-1 – s-2" in said and "1.00 [1.00, 1.00]" in said and "s-2 – lexical" in said
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(row["first"], row["second"], row["n"]) for row in rows] == [
        ("s-1", "s-2", 12),
        ("s-1", "lexical", 12),
        ("s-2", "lexical", 12),
    ]


def test_a_sheet_of_one_aspect_without_contexts(tmp_path, capsys):
    row = {"id": "a", "question": "How many?", "rationale": "The answer is 12."}
    write_rows(tmp_path / "r.jsonl", [row])
    command = ["quality", str(tmp_path / "r.jsonl"), "--task", "numbers"]
    assert main([*command, "--sheet", str(tmp_path / "s.csv")]) == 0
    assert (tmp_path / "s.csv").read_text(encoding="utf-8-sig").splitlines()[0] == (
        "id,question,context,rationale,coherence,fluency,naturalness"
    )
    one = ["--sheet", str(tmp_path / "t.csv"), "--aspect", "factuality"]
    assert main([*command, *one]) == 2
    assert "no rationale has a context, which these aspects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ratings", "SHEET"], "one rater and no judge have nothing to compare"),
        (["--ratings", "SHEET", "--ratings", "SHEET"], "s.csv: named twice"),
        (["--ratings", "nowhere.csv", "--scores", "SOURCE"], "nowhere.csv: no such file"),
        (["--ratings", "SHEET", "--scores", "SOURCE"], "no rating in 12 rows"),
        (["--sheet", "SOURCE"], "--sheet"),
        (["--sheet", "NEW", "--aspect", "readability"], "has no prompt that explains it to raters"),
    ],
)
def test_what_cannot_be_compared_is_one_line(rationales, tmp_path, capsys, options, message):
    sheet = tmp_path / "s.csv"
    assert quality(rationales, "--sheet", sheet) == 0
    capsys.readouterr()
    places = {"SHEET": sheet, "SOURCE": rationales, "NEW": tmp_path / "n.csv"}
    assert quality(rationales, *(places.get(option, option) for option in options)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "Traceback" not in error
