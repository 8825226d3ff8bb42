"""Runs are found and described from their small files, and nothing in a folder stops the list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kept_runs import make_kept_run
from smallsteps.errors import RunFolderError
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.run_list import BestArm, listed, run_folders, runs_below
from smallsteps.experiment.workers import Workers

RIGHT = {("base", 0): [2], ("direct", 0): [1, 2, 3]}


def test_runs_are_found_at_any_depth_and_nothing_else_is(tmp_path):
    inside = make_kept_run(tmp_path / "in" / "a" / "b", RIGHT)
    make_kept_run(tmp_path / "in" / ".hidden", RIGHT)
    outside = make_kept_run(tmp_path / "out", RIGHT)
    make_kept_run(inside / "arms" / "nested", RIGHT)
    (tmp_path / "in" / "link").symlink_to(outside)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "file").write_text("")
    assert list(run_folders(tmp_path / "in")) == [inside]
    assert list(run_folders(inside)) == [inside], "the folder itself"


def test_a_finished_run_shows_the_arm_that_validation_chose_over_all_seeds(tmp_path):
    right = {("base", 0): range(5), ("direct", 0): [1, 2, 3], ("direct", 1): [1]}
    run = listed(make_kept_run(tmp_path / "run", right))
    assert (run.state, run.title, run.arms, run.seeds) == (
        "finished",
        "pens",
        ["base", "direct"],
        [0, 1],
    )
    assert (
        isinstance(run.best, BestArm) and run.best.name == "base" and run.best.metric == "accuracy"
    )
    run = listed(make_kept_run(tmp_path / "other", {**right, ("base", 0): [0]}))
    assert run.best is not None and (run.best.name, round(run.best.value, 1)) == ("direct", 33.3)


def test_a_run_that_is_not_finished_shows_the_highest_of_its_graded_arms(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT, planned=["direct", "base"], finished=False)
    assert listed(folder).state == "stopped"
    with Workers(folder, "a", Silent()).joined():
        run = listed(folder)
    assert (run.state, run.graded) == ("running", 2)
    assert run.best is not None and run.best.name == "direct"


@pytest.mark.parametrize(
    ("name", "content", "state"),
    [
        ("run.json", "{", "damaged"),
        ("results.json", "[]", "damaged"),
        ("results.json", '{"schema_version": 1}', "damaged"),
        ("results.json", '{"schema_version": 2, "arms": 7}', "damaged"),
        ("recipe.yaml", "[" * 5000, "finished"),
        ("recipe.yaml", "- 1", "finished"),
        ("recipe.yaml", "arms: {a: 1}\nseeds: [x]\ntitle: [1]", "finished"),
    ],
)
def test_a_damaged_file_is_a_row_and_no_error(name, content, state, tmp_path):
    make_kept_run(tmp_path / "whole", RIGHT)
    folder = make_kept_run(tmp_path / "run", RIGHT)
    (folder / name).write_text(content)
    runs = {Path(run.folder).name: run for run in runs_below(tmp_path)}
    assert runs["run"].state == state and bool(runs["run"].why) == (state == "damaged")
    assert runs["whole"].state == "finished"


def test_results_of_another_version_are_named_where_they_belong_to_the_recipe(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(text.replace('"schema_version": 2', '"schema_version": 9'))
    run = listed(folder)
    assert run.state == "damaged" and "a newer smallsteps wrote this file" in run.why


def test_a_page_that_is_made_again_does_not_make_a_run_younger(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    before = listed(folder).when
    (folder / "report.html").write_text("")
    os.utime(folder / "report.html", (2e9, 2e9))
    assert listed(folder).when == before
    os.utime(folder / "results.json", (2e9, 2e9))
    assert listed(folder).when == "2033-05-18T03:33:20Z"


def test_no_folder_is_refused(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.touch()
    with pytest.raises(
        RunFolderError, match=r"rows\.jsonl: a file, not a folder\. Name the folder"
    ):
        runs_below(file)
    with pytest.raises(RunFolderError, match=r"none: no such folder"):
        runs_below(tmp_path / "none")
