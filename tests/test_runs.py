"""Run folders: a stage is done once, counts only when whole, and a folder belongs to one recipe."""

import json
import subprocess
import sys

import pytest

from smallsteps.errors import DataError, RunFolderError
from smallsteps.runs import RunFolder, complete, write_text


def folder(path, digest="a"):
    return RunFolder(path / "run", digest, "title: x\n")


def test_a_complete_stage_is_not_made_again(tmp_path):
    made = []

    def make(place):
        made.append(place)
        write_text(place / "out.txt", "1")

    folder(tmp_path).stage("one", make)
    folder(tmp_path).stage("one", make)
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["change", "remove", "no manifest", "torn manifest"])
def test_a_stage_that_is_not_whole_is_made_again(tmp_path, damage):
    place = folder(tmp_path).stage("one", lambda p: write_text(p / "out.txt", "1"))
    match damage:
        case "change":
            (place / "out.txt").write_text("2")
        case "remove":
            (place / "out.txt").unlink()
        case "no manifest":
            (place / "manifest.json").unlink()
        case _:
            (place / "manifest.json").write_text('{"files": {')
    assert not complete(place)
    folder(tmp_path).stage("one", lambda p: write_text(p / "out.txt", "1"))
    assert complete(place)


def test_what_an_interrupted_attempt_left_is_removed_unless_kept(tmp_path):
    run = folder(tmp_path)
    left = run.path / "one" / "left.txt"
    write_text(left, "x")
    run.stage("one", lambda p: None)
    assert not left.exists()
    kept = run.path / "two" / "left.txt"
    write_text(kept, "x")
    run.stage("two", lambda p: None, keep=True)
    assert kept.exists()


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    folder(tmp_path)
    with pytest.raises(RunFolderError, match="belongs to another recipe"):
        folder(tmp_path, "b")


def test_a_folder_with_foreign_files_is_refused_and_left_alone(tmp_path):
    write_text(tmp_path / "run" / "thesis.tex", "years of work")
    with pytest.raises(RunFolderError, match="no run of smallsteps"):
        folder(tmp_path)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_damaged_run_file_is_named(tmp_path):
    run = folder(tmp_path)
    (run.path / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"run\.json is damaged"):
        folder(tmp_path)


def test_a_second_process_is_refused_while_the_first_works(tmp_path):
    run = folder(tmp_path)
    opened = f"RunFolder(Path({str(run.path)!r}), 'a', '')"
    code = f"from pathlib import Path; from smallsteps.runs import RunFolder\nwith {opened}.locked(): pass"
    with run.locked():
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process is working" in found.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_provenance_names_versions_and_hardware(tmp_path):
    run = json.loads((folder(tmp_path).path / "run.json").read_text())
    assert run["provenance"]["versions"]["torch"]
    assert "cores" in run["provenance"]["hardware"]


def fail(run, error):
    with pytest.raises(type(error)), run.locked():
        run.stage("data", lambda place: write_text(place / "rows.txt", "1"))
        raise error


def test_a_folder_that_came_to_nothing_by_the_users_mistake_is_free_again(tmp_path):
    fail(folder(tmp_path), DataError("wrong"))
    assert not (tmp_path / "run").exists()
    folder(tmp_path, "another recipe")


def test_a_folder_stays_where_training_had_begun_or_where_it_was_there_before(tmp_path):
    begun = folder(tmp_path / "begun")
    with pytest.raises(DataError), begun.locked():
        begun.stage("training", lambda place: write_text(place / "checkpoint", "1"), keep=True)
        raise DataError("wrong")
    assert (begun.path / "training" / "checkpoint").exists()
    folder(tmp_path / "before")
    fail(folder(tmp_path / "before"), DataError("wrong"))
    assert (tmp_path / "before" / "run" / "data").exists()
    fail(folder(tmp_path / "bug"), ValueError("a bug"))
    assert (tmp_path / "bug" / "run" / "data").exists(), "what a bug left is evidence"
