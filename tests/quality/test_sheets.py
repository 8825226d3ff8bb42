"""Blind sheets for people, and what is read from them."""

from __future__ import annotations

import csv
import json

import pytest

from smallsteps.errors import DataError
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.rated import Rated
from smallsteps.quality.sheets import read_judged, read_ratings, sheet_id, write_sheets
from smallsteps.records import Problem
from smallsteps.teaching.prompts import parse_prompt

from .conftest import ITEMS

SOME = ITEMS[:10]
PROMPTS = read_judge_prompts()


def table(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def filled(path, ratings, **options):
    """The sheet at `path` with ratings: sheet id → column → cell."""
    rows = table(path)
    for row in rows:
        row |= ratings.get(row["id"], {})
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.DictWriter(file, rows[0], **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def sheet(tmp_path):
    write_sheets(SOME, tmp_path / "s.csv", PROMPTS)
    return tmp_path / "s.csv"


def test_a_sheet_shows_texts_and_an_empty_column_per_aspect_and_tells_no_source(sheet):
    rows = table(sheet)
    assert list(rows[0]) == ["id", "question", "context", "rationale", *PROMPTS]
    by_text = {row["rationale"]: row for row in rows}
    assert set(by_text) == {item.text for item in SOME}
    for item in SOME:
        row = by_text[item.text]
        assert row["question"] == item.question and row["context"] == "\n".join(item.context)
        assert not any(row[aspect] for aspect in PROMPTS)
    written = sheet.read_text(encoding="utf-8-sig")
    assert not any(item.id in written for item in SOME), "ids tell the source"
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbf"), "spreadsheets know UTF-8 by it"


def test_raters_get_different_orders_and_a_seed_repeats_them(tmp_path):
    paths = write_sheets(SOME, tmp_path / "s.csv", PROMPTS, raters=2, seed=3)
    assert [path.name for path in paths] == ["s-1.csv", "s-2.csv", "s-scale.txt"]
    orders = [[row["id"] for row in table(path)] for path in paths[:2]]
    own_order = [sheet_id(item) for item in SOME]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(own_order)
    assert orders[0] != orders[1] and own_order not in orders
    again = write_sheets(SOME, tmp_path / "t.csv", PROMPTS, raters=2, seed=3)
    assert [path.read_bytes() for path in again[:2]] == [path.read_bytes() for path in paths[:2]]
    other = write_sheets(SOME, tmp_path / "u.csv", PROMPTS, seed=4)
    assert [row["id"] for row in table(other[0])] != orders[0]


def test_people_read_what_the_chat_model_reads(sheet):
    text = sheet.with_name("s-scale.txt").read_text(encoding="utf-8")
    assert "whole number from 1 to 5" in text
    for aspect, prompt in PROMPTS.items():
        assert f"{aspect.upper()}\n\n{prompt.templates[0][1]}" in text


def test_a_prompt_without_an_explanation_is_no_column(tmp_path):
    prompt = parse_prompt("mine", "[user]\nRate {{ rationale }}", ("rationale",))
    with pytest.raises(DataError, match=r"prompt mine: no \[system\] message"):
        write_sheets(SOME, tmp_path / "s.csv", {"fluency": prompt})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["=1+2", "+1", "-x", "@SUM(A1)", "\t=1", " =cmd|' /C calc'!A0"])
def test_no_text_becomes_a_formula(tmp_path, text):
    item = Rated(f"a{text}", text, (text,), text)
    write_sheets([item], tmp_path / "s.csv", PROMPTS)
    (row,) = table(tmp_path / "s.csv")
    assert row["question"] == row["rationale"] == row["context"] == f"'{text}"


def test_ratings_come_back_by_the_ids_of_the_file_and_empty_cells_are_left_out(sheet):
    first, second = sheet_id(SOME[0]), sheet_id(SOME[1])
    filled(sheet, {first: {"fluency": "5", "relevance": " 1 "}, second: {"fluency": "2"}})
    assert read_ratings(sheet, SOME) == {
        "fluency": {SOME[0].id: 5, SOME[1].id: 2},
        "relevance": {SOME[0].id: 1},
    }


@pytest.mark.parametrize("options", [{"delimiter": ";"}, {"encoding": "utf-8-sig"}])
def test_a_sheet_is_read_as_spreadsheets_save_it(sheet, options):
    filled(sheet, {sheet_id(SOME[3]): {"coherence": "4"}}, **options)
    assert read_ratings(sheet, SOME) == {"coherence": {SOME[3].id: 4}}


@pytest.mark.parametrize("cell", ["0", "6", "4.5", "good", "4/5", "-1"])
def test_a_cell_that_is_no_rating_is_named_with_line_and_column(sheet, cell):
    filled(sheet, {table(sheet)[0]["id"]: {"fluency": cell}})
    with pytest.raises(DataError, match=rf"s\.csv:\d+: fluency is '{cell}', expected a whole"):
        read_ratings(sheet, SOME)


def test_a_file_that_is_no_filled_sheet_of_these_rationales_is_one_line(sheet, tmp_path):
    with pytest.raises(DataError, match=r"no rating in 10 rows. Name a filled sheet"):
        read_ratings(sheet, SOME)
    row_id = table(sheet)[0]["id"]
    filled(sheet, {row_id: {"fluency": "5"}})
    changed = [Rated.of(Problem(item.id, item.question), item.text + "!") for item in SOME]
    with pytest.raises(DataError, match=r"no rationale has the id 'r.*must be as they were"):
        read_ratings(sheet, changed)
    (tmp_path / "x.csv").write_text("id,fluent\n" + row_id + ",5\n")
    with pytest.raises(DataError, match=r"no aspect 'fluent'. Did you mean 'fluency'"):
        read_ratings(tmp_path / "x.csv", SOME)
    (tmp_path / "x.csv").write_text(f"id,fluency\n{row_id},5\n{row_id},4\n")
    with pytest.raises(DataError, match=rf":3: the id '{row_id}' stands on line 2 already"):
        read_ratings(tmp_path / "x.csv", SOME)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r":2: no `id`. Expected a sheet"):
        read_ratings(tmp_path / "x.csv", SOME)


def test_scores_of_a_judge_are_the_nearest_ratings(tmp_path):
    rows = [
        {"id": SOME[0].id, "fluency": 0.75, "coherence": None},
        {"id": SOME[1].id, "fluency": 0.1},
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_judged(tmp_path / "q.jsonl", SOME) == {"fluency": {SOME[0].id: 4, SOME[1].id: 1}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "elsewhere", "fluency": 1}, "no rationale has the id 'elsewhere'"),
        ({"id": SOME[0].id, "fluency": 4}, "fluency is 4, expected a number from 0 to 1"),
        ({"id": SOME[0].id, "fluency": "1"}, "fluency is '1', expected a number"),
        ({"id": SOME[0].id}, "no scores in it"),
    ],
)
def test_rows_that_are_no_scores_of_these_rationales_are_one_line(tmp_path, row, message):
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=message):
        read_judged(tmp_path / "q.jsonl", SOME)
