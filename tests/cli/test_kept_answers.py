"""Answers that survive an interruption: continued by the same job, and by no other."""

import json
from dataclasses import replace

import pytest

from smallsteps.cli.kept_answers import kept_answers, question_digest
from smallsteps.errors import RunFolderError
from smallsteps.records import Problem
from smallsteps.tasks import get_task

JOB = {"model": "m", "task": "numbers"}
ROW = {"id": "a", "text": "so 7", "segments": [], "answer": "7", "stopped": "end", "tokens": 3}


def interrupted(out, job=JOB, rows=(("one", ROW),)):
    with kept_answers(out) as kept:
        kept.begin(job)
        for digest, row in rows:
            kept.add(digest, row)


def file_of(out):
    return out.with_name(f".{out.name}.partial")


def test_the_same_job_continues_with_the_answers_that_are_there(tmp_path):
    out = tmp_path / "out.jsonl"
    interrupted(out)
    with kept_answers(out) as kept:
        kept.begin(JOB)
        assert kept.rows == {"one": ROW} and not kept.replaced
        kept.add("two", ROW)
    with kept_answers(out) as kept:
        kept.begin(JOB)
        assert sorted(kept.rows) == ["one", "two"]


def test_another_job_begins_anew_and_the_old_answers_are_gone(tmp_path):
    out = tmp_path / "out.jsonl"
    interrupted(out)
    with kept_answers(out) as kept:
        kept.begin({**JOB, "model": "other"})
        assert kept.rows == {} and kept.replaced
        kept.add("two", ROW)
    lines = file_of(out).read_text().splitlines()
    assert json.loads(lines[0]) == {"job": {**JOB, "model": "other"}} and len(lines) == 2


def test_a_torn_line_is_cut_off_so_that_it_swallows_no_later_one(tmp_path):
    out = tmp_path / "out.jsonl"
    interrupted(out)
    with file_of(out).open("a") as file:
        file.write('{"question": "torn')
    with kept_answers(out) as kept:
        kept.begin(JOB)
        kept.add("two", ROW)
    with kept_answers(out) as kept:
        kept.begin(JOB)
        assert sorted(kept.rows) == ["one", "two"]


@pytest.mark.parametrize(
    "wrong",
    [{"answer": 7}, {"stopped": "never"}, {"segments": "x"}, {"tokens": None}, {"id": 1}],
)
def test_a_line_that_is_no_whole_answer_is_left_out(tmp_path, wrong):
    out = tmp_path / "out.jsonl"
    interrupted(out, rows=(("bad", {**ROW, **wrong}), ("one", ROW)))
    with kept_answers(out) as kept:
        kept.begin(JOB)
        assert list(kept.rows) == ["one"]


def test_a_second_process_is_refused_while_the_first_one_writes(tmp_path):
    out = tmp_path / "out.jsonl"
    with (
        kept_answers(out),
        pytest.raises(RunFolderError, match="another process is writing it"),
        kept_answers(out),
    ):
        pass


def test_without_an_answer_nothing_is_left_behind(tmp_path):
    with kept_answers(tmp_path / "new" / "out.jsonl") as kept:
        kept.begin(JOB)
    assert list(tmp_path.rglob("*.*")) == []


def test_a_digest_holds_all_that_a_student_reads():
    task = get_task("commonsenseqa")
    problem = Problem("a", "Which?", choices=("x", "y"), context=(("t", ("s",)),))
    others = [
        replace(problem, id="b"),
        replace(problem, question="What?"),
        replace(problem, choices=("x", "z")),
        replace(problem, context=(("t", ("r",)),)),
    ]
    assert len({question_digest(item, task) for item in [problem, *others]}) == 5
    assert question_digest(problem, task) == question_digest(replace(problem, answer="A"), task)
