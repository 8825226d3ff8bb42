"""A run folder stands for its best student, wherever a student can be named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import smallsteps as ss
from smallsteps.cli.main import main
from smallsteps.errors import StudentError
from smallsteps.generation.solve import stored_task
from smallsteps.students.loading import load, load_student, outline
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.run_student import (
    folders_beside,
    run_student,
    runs_beside,
    student_place,
)
from smallsteps.students.tokens import prepare

PLACE = "arms/direct-seed1/training/candidate-3"
BEST = {"name": "direct", "seed": 1, "folder": PLACE, "validation": 40.0}


@pytest.fixture
def run_folder(tmp_path, tiny):
    """A finished run with one trained student."""
    folder = tmp_path / "mine"
    prepare(tiny("t5"), "numbers", path="direct", max_segments=2).save(folder / PLACE)
    (folder / "run.json").write_text("{}")
    (folder / "results.json").write_text(json.dumps({"best": BEST}))
    return folder


def changed(run_folder: Path, to: Path, results: object) -> Path:
    """The same run with other results; None: without."""
    shutil.copytree(run_folder, to)
    (to / "results.json").unlink()
    if results is not None:
        (to / "results.json").write_text(json.dumps(results))
    return to


def test_everything_that_opens_a_student_takes_the_best_one_of_a_run(run_folder):
    best = run_folder / PLACE
    for student in (load(run_folder), load_student(run_folder), outline(run_folder)):
        assert student.name == str(best)
    assert ModelFiles.locate(run_folder).source == str(best)
    task = stored_task(str(run_folder))
    assert task is not None and task.name == "numbers"
    assert ss.load(str(run_folder)).student.name == str(best)


def test_the_student_that_was_taken_is_said(run_folder):
    lines: list[str] = []
    assert student_place(run_folder, lines.append) == str(run_folder / PLACE)
    assert lines == [f"{run_folder}: using arm direct, seed 1"]


@pytest.mark.parametrize(
    "name", ["bundled", "owner/model", "./x", "./a/b", "\0", "~nobody-at-all/x"]
)
def test_what_is_no_run_stays_as_it_was_typed(name):
    assert student_place(name, pytest.fail) == name


def test_a_model_folder_with_results_of_its_own_is_no_run(run_folder, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "results.json").write_text("{}")
    assert run_student(tmp_path) is None


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            None,
            r"^.*/other: this run has not finished, so its best student is not known yet\. "
            r"Type its command again, or name .*candidate-3\.$",
        ),
        (
            {"best": {**BEST, "name": "base", "folder": None}},
            r"the student before training was best in this run \(arm base\), .* "
            r"Name the student of an arm, such as .*candidate-3\.$",
        ),
        (
            {"best": {**BEST, "folder": "arms/gone"}},
            r"best student, .*arms/gone, is not there any more\. Run it again, or name .*-3\.$",
        ),
        ({"best": None}, r"no student was trained in this run\. Name the folder of a student\.$"),
        ([], r"results\.json: damaged\. Delete the file and type the run's command again\.$"),
        ({"best": {"folder": 5}}, r"results\.json: damaged\."),
    ],
)
def test_a_run_without_a_best_student_is_refused_and_its_others_are_named(
    run_folder, tmp_path, results, message
):
    other = changed(run_folder, tmp_path / "other", results)
    with pytest.raises(StudentError, match=message):
        load(other)


def test_the_halves_of_a_pair_are_not_named_beside_it(run_folder, tmp_path):
    other = changed(run_folder, tmp_path / "other", None)
    shutil.rmtree(other / "arms")
    for part in ("pair", "pair/es", "pair/as"):
        (other / part).mkdir()
        (other / part / "smallsteps.json").write_text("{}")
    with pytest.raises(StudentError, match=r"or name .*/other/pair\.$"):
        load(other)


def test_commands_take_a_run_folder_and_say_which_student_answers(
    run_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = '{"id": "1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": "7"}\n'
    Path("q.jsonl").write_text(rows)
    using = f"{run_folder}: using arm direct, seed 1"
    run = str(run_folder)
    for command in (
        ["solve", run, "Ann has 3 pens?"],
        ["solve", run, "q.jsonl", "--out", "p.jsonl"],
        ["segment", "q.jsonl", "--out", "s.jsonl", "--strategy", "ent", "--student", run],
        ["segment", "q.jsonl", "--agreement", "--strategy", "ent", "--student", run],
        ["quality", "q.jsonl", "--task", "numbers", "--out", "a.jsonl", "--student", run],
        ["export", run, "--to", "exported"],
        ["serve", run, "--port", "0", "--dry-run"],
    ):
        main(command)
        captured = capsys.readouterr()
        assert using in captured.out + captured.err, (command, captured)


def test_of_several_checkpoints_the_one_that_validation_chose_is_named_first(run_folder, tmp_path):
    training = (run_folder / PLACE).parent
    for update in (1, 2, 4):
        shutil.copytree(run_folder / PLACE, training / f"candidate-{update}")
    (training / "trained.json").write_text(json.dumps({"folders": {"metric": "candidate-4"}}))
    (run_folder / "results.json").unlink()
    chosen, first, second = (training / f"candidate-{update}" for update in (4, 1, 2))
    named = f"{chosen} (chosen on validation) or {first} or {second}"
    with pytest.raises(StudentError, match=re.escape(f"or name {named}.")):
        run_student(run_folder)
    (run_folder / "run.json").unlink()
    with pytest.raises(StudentError, match=re.escape(f"Did you mean {named}?")):
        ModelFiles.locate(run_folder)


def runs_in(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "run.json").write_text("{}")


def test_a_folder_that_is_not_there_names_the_near_one_or_the_runs_beside_it(tmp_path):
    runs_in(tmp_path / "runs", "a", "b", "c", "first", "zulu")
    (tmp_path / "runs/notes").mkdir()
    runs = tmp_path / "runs"
    assert folders_beside(runs / "fist") == f" Did you mean {runs}/first?"
    assert folders_beside(runs / "quite-other") == (
        f" Runs there: {runs}/a, {runs}/b, {runs}/c and 2 more."
    )
    assert runs / "notes" not in runs_beside(runs / "x")
    for nowhere in (tmp_path / "none/x", "~no-such-user-here/x", "a\0b/c"):
        assert folders_beside(nowhere) == ""


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["solve", "runs/frist", "How many?"], "runs/frist"),
        (["serve", "runs/frist"], "runs/frist"),
        (["export", "runs/frist", "--to", "new"], "runs/frist"),
        (["show", "runs/frist"], "runs/frist"),
        (["runs", "runs/frist"], "runs/frist"),
        (["run", "demo", "student.name=runs/frist", "--out", "new"], "student.name: runs/frist"),
    ],
)
def test_a_run_that_is_not_there_is_one_line_and_no_word_of_the_hub(
    tmp_path, monkeypatch, capsys, command, place
):
    """The trap: runs/frist reads like OWNER/MODEL, so the hub was asked first."""
    monkeypatch.chdir(tmp_path)
    runs_in(tmp_path / "runs", "first")
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {place}: no such folder.")
    assert error.endswith(" Did you mean runs/first?\n") and "hub" not in error
    assert len(error.splitlines()) == 1
