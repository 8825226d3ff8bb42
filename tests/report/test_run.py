"""Reading a run folder: whatever file is missing, the page appears; a damaged file is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.errors import RunFolderError
from smallsteps.report.page import write_page
from smallsteps.report.run import read_run

from .conftest import arm_result, pooled_result, results_of, write_rows

MakeRun = Callable[..., Path]


def two_seeds():
    """Two arms at two seeds."""
    names = ("direct", "ases-dual-ent")
    arms = [arm_result(name, 50.0 + seed, seed=seed) for name in names for seed in (0, 1)]
    return results_of(*arms, pooled=[pooled_result(name, 50.5) for name in names])


def page_of(folder: Path) -> str:
    return write_page(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["predictions.jsonl", "grades.jsonl", "curves.jsonl"])
def test_any_file_of_an_arm_may_be_missing(make_run: MakeRun, name: str) -> None:
    folder = make_run(two_seeds())
    (folder / "arms/ases-dual-ent-seed1" / name).unlink()
    assert "ases-dual-ent" in page_of(folder)


@pytest.mark.parametrize("name", ["problems.jsonl", "gold.jsonl", "arms"])
def test_any_file_beside_the_results_may_be_missing(make_run: MakeRun, name: str) -> None:
    folder = make_run(two_seeds())
    (folder / name).rename(folder.parent / name)
    assert "ases-dual-ent" in page_of(folder)


@pytest.mark.parametrize("value", ["missing", None])
def test_any_key_of_a_curve_may_be_missing(make_run: MakeRun, value: str | None) -> None:
    folder = make_run(two_seeds())
    path = folder / "arms/ases-dual-ent-seed1/curves.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for key in rows[0]:
        changed = [{**row, "half": "ES", "seconds": 1.0} for row in rows]
        if value is None:
            changed[1][key] = None
        else:
            del changed[1][key]
        write_rows(path, changed)
        assert "ases-dual-ent" in page_of(folder), key


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("results.json", None, "results.json: no such file. The run has not finished"),
        (
            "problems.jsonl",
            '{"id": "a", "question": "q"}\n{"id"',
            r"problems.jsonl:2: expected one JSON object",
        ),
        (
            "problems.jsonl",
            '{"id": "a", "questoin": "q"}',
            r"problems.jsonl:1: Problem has no field 'questoin'",
        ),
        ("gold.jsonl", '{"problem_id": "a"}', "gold.jsonl:1: expected problem_id, segments"),
    ],
)
def test_a_damaged_folder_is_refused_by_file_and_line(
    make_run: MakeRun, name: str, text: str | None, message: str
) -> None:
    folder = make_run()
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        write_page(folder)
    assert not list(folder.glob("report.html*"))


def test_predictions_without_their_problems_are_still_shown(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "problems.jsonl").unlink()
    assert [problem.id for problem in read_run(folder).problems] == ["p0", "p1", "p2", "p3"]
