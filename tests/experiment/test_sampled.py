"""Answers to training questions, in blocks of the run folder."""

from dataclasses import dataclass

import pytest

from smallsteps.experiment import sampled as module
from smallsteps.experiment.sampled import Sampled
from smallsteps.records import Record
from tiny_labs import tiny_lab


@dataclass(frozen=True)
class Note(Record):
    id: str
    samples: int


def test_a_killed_run_loses_one_block_and_loads_the_student_only_where_it_writes(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK", 10)
    asked, loaded = [], []

    def ask(student, problems, solving, progress):
        asked.append(len(problems))
        progress(len(problems) * solving.samples)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [Note(problem.id, solving.samples) for problem in problems]

    def load():
        loaded.append(True)
        return "student"

    with tiny_lab(tmp_path) as lab:
        problems = lab.data.train
        answers = Sampled(lab, load, samples=3, label="sampling")
        with pytest.raises(KeyboardInterrupt):
            answers.rows("somewhere", "notes", problems, ask)
        rows = answers.rows("somewhere", "notes", problems, ask)
        assert rows == [{"id": problem.id, "samples": 3} for problem in problems]
        assert asked == [10, 10, 10, 4] and len(loaded) == 2
        assert answers.rows("somewhere", "notes", problems, ask) == rows and len(loaded) == 2
        assert (lab.run.path / "somewhere/block-002/notes.jsonl").is_file()
        assert lab.reporter.bars == {"sampling"}


def test_a_server_which_starts_anew_for_each_block_gets_longer_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 10)
    monkeypatch.setattr(module, "SERVED_BLOCK", 20)
    asked = []

    def ask(student, problems, solving, progress):
        asked.append((len(problems), solving.engine))
        return [Note(problem.id, solving.samples) for problem in problems]

    with tiny_lab(tmp_path) as lab:
        evaluation = lab.recipe.evaluation.changed(engine="vllm")
        lab.recipe = lab.recipe.changed(evaluation=evaluation)
        answers = Sampled(lab, lambda: "student", samples=3, label="sampling")
        answers.rows("somewhere", "notes", lab.data.train, ask)
    assert asked == [(20, "vllm"), (4, "vllm")]
