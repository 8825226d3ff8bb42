"""`smallsteps segment --agreement`: strategies beside the labels of a file."""

from __future__ import annotations

import json

import pytest

from smallsteps.cli.main import main
from smallsteps.segments.agreement import strategy_agreement
from smallsteps.segments.strategies import Scoring
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, write_rows

from .labelled_rows import labelled_rows


def agreement(path, *options):
    return main(["segment", str(path), "--agreement", "--task", "stories", *map(str, options)])


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_table_holds_every_strategy_that_needs_no_student(tmp_path, capsys):
    file = tmp_path / "labelled.jsonl"
    write_rows(file, labelled_rows(20))
    assert agreement(file, "--out", tmp_path / "figures.jsonl") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["strategy", "Cohen's", "kappa", "agreement", "%", "AS", "%"]
    assert [line.split()[0] for line in lines[1:4]] == ["inter", "bleu", "rouge"]
    task = get_task("stories")
    chains = read_chains(file, task).chains
    rows = read(tmp_path / "figures.jsonl")
    for row in rows:
        expected = strategy_agreement(chains, row["strategy"], Scoring(task))
        assert row["kappa"] == pytest.approx(expected.kappa, abs=1e-4)
        assert row["share_interval"] == pytest.approx(expected.share_interval, abs=1e-4)
        assert (row["n"], row["chains"]) == (expected.n, 20)


def test_a_student_that_is_named_scores_its_strategies_and_no_others(tmp_path, capsys):
    file = tmp_path / "labelled.jsonl"
    write_rows(file, labelled_rows(6))
    assert agreement(file, "--untrained-student", "bundled") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:5]]
    assert names == ["inter", "ent*", "bleu", "rouge"]
    assert agreement(file, "--strategy", "ent*", "--student", "bundled") == 2
    assert "(--untrained-student DIR)" in capsys.readouterr().err


def test_rows_without_labels_are_counted_and_a_file_of_them_is_refused(tmp_path, capsys):
    rows = labelled_rows(6)
    for row in rows[:4]:
        del row["segments"]
    file = tmp_path / "half.jsonl"
    write_rows(file, rows)
    assert agreement(file) == 0
    assert "4 chains without labels left out" in capsys.readouterr().out
    write_rows(file, rows[:4])
    assert agreement(file, "--out", tmp_path / "figures.jsonl") == 2
    assert f"error: {file}: no row has labels to compare with" in capsys.readouterr().err
    assert not (tmp_path / "figures.jsonl").exists()
