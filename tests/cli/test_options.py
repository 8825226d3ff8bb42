"""Values of shared options: numbers, paths and column names."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import get_args

import pytest
import typer

from smallsteps.cli.main import main
from smallsteps.cli.options import TaskName, column_names, number, path_of
from smallsteps.errors import RecipeError
from smallsteps.segments.strategies import STRATEGIES
from smallsteps.tasks import TASKS


def test_a_tilde_in_an_output_is_the_home_folder(chains, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(["segment", str(chains), "--out=~/new/out.jsonl"]) == 0
    assert (tmp_path / "home" / "new" / "out.jsonl").is_file() and not (tmp_path / "~").exists()
    assert main(["segment", str(chains), "--out=~nobody-here/out.jsonl"]) == 2
    assert re.search("'--out'.*nobody-here", capsys.readouterr().err)


@pytest.mark.parametrize(
    "words", [["run", "demo", "--out", ""], ["demo", "--out="], ["run", "demo", "--out", " "]]
)
def test_an_empty_path_is_not_this_folder(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "'--out': is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_number_has_a_lower_bound_and_is_finite():
    assert number(0)(0.0) == 0.0 and number(0)(None) is None and number(0)((0.0, 2.0)) == (0.0, 2.0)
    for value, message in (
        (-1.0, "-1, expected a finite number of at least 0"),
        (math.nan, "nan, expected"),
        ((1.0, math.inf), "inf, expected"),
    ):
        with pytest.raises(typer.BadParameter, match=re.escape(message)):
            number(0)(value)
    with pytest.raises(typer.BadParameter, match="0, expected a finite number above 0"):
        number(0, above=True)(0.0)


def test_a_path_keeps_its_name_and_expands_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert path_of("~/x") == Path("/somewhere/x") and path_of("a b/c") == Path("a b/c")


def test_columns_are_pairs_each_named_once():
    assert column_names(None) == {}
    assert column_names(["rationale=cot", "id=a=b"]) == {"rationale": "cot", "id": "a=b"}
    for pairs, message in (
        (["rationale"], "--columns rationale: expected OUR=THEIRS"),
        (["rationale="], "--columns rationale=: expected OUR=THEIRS"),
        (["id=a", "id=b"], "--columns names 'id' twice, as 'a' and 'b'"),
    ):
        with pytest.raises(RecipeError, match=re.escape(message)):
            column_names(pairs)


def test_help_names_every_task_and_every_segmentation(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    tasks = re.split(r"[,.] ?", get_args(TaskName)[1].help)
    assert {task for task in TASKS if not task.endswith("-gold")} <= set(tasks)
    for command in ("segment", "compare"):
        assert main([command, "--help"]) == 0
        shown = re.split(r"[^a-z*]+", capsys.readouterr().out)
        assert set(STRATEGIES) <= set(shown), command
