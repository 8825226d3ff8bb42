"""The state of a run is read from its folder, which stays as it is."""

from __future__ import annotations

import json

import pytest

from kept_runs import make_kept_run
from smallsteps.errors import RunFolderError
from smallsteps.experiment.ownership import LOCK, is_anybody_working
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.results import read_results
from smallsteps.experiment.so_far import read_so_far, state_of
from smallsteps.experiment.workers import Workers

RIGHT = {("direct", 0): [1, 2], ("base", 0): [2]}


def test_a_finished_run_is_what_its_results_say(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    run = read_so_far(folder)
    assert (run.state, run.graded, run.planned, run.notice) == ("finished", 2, 2, "")
    assert run.results == read_results(folder)


def test_a_run_that_was_cut_off_shows_what_is_graded_and_how_to_go_on(tmp_path):
    planned = ["direct", "base", "answer-only"]
    folder = make_kept_run(tmp_path / "run", RIGHT, planned=planned, seeds=[0, 1], finished=False)
    run = read_so_far(folder)
    assert (run.state, run.graded, run.planned) == ("stopped", 2, 6)
    assert run.notice.startswith("Not finished: 2 of 6 arms (each seed counts) are graded. To ")


def test_a_run_in_which_a_process_works_is_running_and_is_not_disturbed(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT, finished=False)
    workers = Workers(folder, "a", Silent())
    before = sorted(path.name for path in folder.rglob("*"))
    with workers.joined():
        run = read_so_far(folder)
        assert run.state == "running" and run.notice.startswith("Still running: 2 of 2")
        assert is_anybody_working(folder)
    assert state_of(folder) == "stopped"
    assert sorted(path.name for path in folder.rglob("*")) == sorted([*before, LOCK])


def test_results_of_a_smaller_recipe_do_not_make_a_run_finished(tmp_path):
    """The trap: a finished run that is grown keeps its results until the new ones are there."""
    folder = make_kept_run(tmp_path / "run", RIGHT)
    (folder / "run.json").write_text(json.dumps({"digest": "larger"}))
    assert state_of(folder) == "stopped"


def test_results_alone_are_a_finished_run(tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    (folder / "run.json").unlink()
    assert state_of(folder) == "finished"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", None, "no run of smallsteps is here"),
        ("run.json", "{", "run.json or results.json is damaged .not whole JSON."),
        ("recipe.yaml", "arms: [nothing]", "recipe.yaml: cannot be read .*unknown arm"),
        ("data/data.json", "{", "missing or damaged"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(name, content, message, tmp_path):
    folder = make_kept_run(tmp_path / "run", RIGHT, finished=False)
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(RunFolderError, match=message):
        read_so_far(folder)
