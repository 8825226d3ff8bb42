"""Reading a run folder: whatever file is missing, the page appears."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsteps.errors import RunFolderError
from smallsteps.report.page import write_page
from smallsteps.report.run import first_seed, read_run

from .conftest import MakeRun, arm_result, pooled_result, results_of, write_rows


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


def test_a_damaged_folder_leaves_no_page(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "results.json").unlink()
    with pytest.raises(RunFolderError, match="no run of smallsteps is here"):
        write_page(folder)
    assert not list(folder.glob("*report.html*"))


def test_predictions_without_their_problems_are_still_shown(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "problems.jsonl").unlink()
    assert [problem.id for problem in read_run(folder).problems] == ["p0", "p1", "p2", "p3"]


def test_of_several_samples_the_first_is_shown_and_the_others_are_counted(
    make_run: MakeRun,
) -> None:
    folder = make_run()
    path = folder / "arms/direct-seed0/predictions.jsonl"
    path.write_text(path.read_text() + path.read_text().replace('"12"', '"99"'))
    direct = read_run(folder).arms[0]
    assert direct.further == 4
    assert [prediction.answer for prediction in direct.predictions.values()].count("99") == 0


def test_each_arm_is_shown_at_its_first_seed_of_the_arms_that_have_such_rows(
    make_run: MakeRun,
) -> None:
    folder = make_run(two_seeds())
    for seed in (0, 1):
        write_rows(folder / f"arms/ases-dual-ent-seed{seed}/fates.jsonl", [{"question": "Why?"}])
    arms = first_seed(read_run(folder), "fates")
    assert [(arm.name, arm.seed) for arm in arms] == [("ases-dual-ent", 0)]
