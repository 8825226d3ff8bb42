"""JSON as files hold it: one object a line, one list, objects over many lines; long integers and
keys that stand twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.fields import LongNumber
from smallsteps.tasks.files import read_chains, read_rows
from smallsteps.tasks.json_rows import parse_row

GOOD = {"id": "q1", "question": "How many?", "rationale": "3 + 4 = 7.", "answer": "7"}
SECOND = {**GOOD, "id": "q2"}
BARE = {name: value for name, value in GOOD.items() if name != "id"}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (json.dumps([GOOD, SECOND]), ["q1", "q2"]),
        (json.dumps([BARE, BARE], indent=2), ["line-000001", "line-000002"]),
        (json.dumps(GOOD, indent=2) + "\n" + json.dumps(SECOND, indent=2), ["q1", "q2"]),
        (json.dumps(GOOD), ["q1"]),
        (json.dumps({"version": 1, "data": [GOOD, SECOND]}), ["q1", "q2"]),
        (json.dumps({"version": 1, "data": [GOOD, SECOND]}, indent=2), ["q1", "q2"]),
    ],
)
def test_a_json_file_may_be_one_list_or_objects_over_many_lines(
    tmp_path: Path, text: str, ids: list[str]
) -> None:
    path = tmp_path / "chains.json"
    path.write_text(text, encoding="utf-8")
    assert [chain.problem.id for chain in read_chains(path, get_task("gsm8k")).chains] == ids


def test_integers_beyond_pythons_limit_are_kept_as_text() -> None:
    digits = "9" * 5_000
    row = parse_row(f'{{"a": {digits}, "b": -{digits}, "c": [{digits}], "d": 12}}', "f:1")
    assert row == {
        "a": LongNumber(digits),
        "b": LongNumber(f"-{digits}"),
        "c": [LongNumber(digits)],
        "d": 12,
    }


def test_a_key_that_stands_twice_is_refused_in_the_row_itself_alone() -> None:
    assert parse_row('{"a": {"b": 1, "b": 2}, "c": 3}', "f:1") == {"a": {"b": 2}, "c": 3}
    with pytest.raises(
        DataError, match=r"f:1: the key 'a' stands twice in the row\. Keep one of the two"
    ):
        parse_row('{"a": 1, "c": {"b": 1}, "a": 2}', "f:1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n{"a": }]', r"c\.json:2: broken JSON \(Expecting value at column 7\)"),
        ('[{"a": 1},\n{"a": 1, "a": 2}]', r"c\.json:2: the key 'a' stands twice"),
        ('{"a": 1,\n"b": }', r"c\.json:1: broken JSON"),
        ('{"a": 1}\n{"a": }', r"c\.json:2: broken JSON"),
        ("7", r"c\.json:1: expected a JSON object, got a number"),
        ("[", r"c\.json:1: broken JSON"),
        ("[]", r"c\.json: the file is empty"),
    ],
)
def test_broken_json_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        for _ in read_rows(path):
            pass
