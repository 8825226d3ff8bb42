"""`base`: the student before training answers once, read leniently, and costs nothing."""

from dataclasses import replace

import pytest
from tests.conftest import make_student

import smallsteps.experiment.job as job_module
from smallsteps.experiment.grading import best_student, grade_arm
from smallsteps.methods.baselines.untrained import BaseArm
from smallsteps.tasks.files import write_rows
from tiny_labs import tiny_lab
from tiny_runs import TINY_STUDENT


@pytest.fixture
def asked(monkeypatch):
    """What `solve` was called with: (first question as the student reads it, settings)."""
    calls = []
    solve = job_module.solve

    def spy(student, problems, task, settings, decoding):
        calls.append((task.render(problems[0]), settings))
        return solve(student, problems, replace(task, max_chain_tokens=16), settings, decoding)

    monkeypatch.setattr(job_module, "solve", spy)
    return calls


@pytest.fixture(params=["scratch", "t5", "llama", "chat"])
def student(request, tmp_path, tiny_chat):
    """Settings of an untrained student of each architecture."""
    if request.param == "scratch":
        return {"scratch": TINY_STUDENT}
    folder = tmp_path / "student"
    if request.param == "chat":
        tiny_chat(folder)
    else:
        tiny = make_student(request.param)
        tiny.model.config.max_position_embeddings = 1024
        tiny.save(folder)
    return {"name": str(folder), "scratch": None}


def test_every_seed_has_the_answers_that_were_written_once(tmp_path, student, asked):
    with tiny_lab(tmp_path, student=student) as lab:
        outcomes = [BaseArm().run(lab, seed) for seed in (0, 1)]
        assert outcomes[0] == outcomes[1]
        assert len(asked) == 2, "test and validation, of one seed"
        assert len(outcomes[0].predictions) == 6 and outcomes[0].shown == outcomes[0].predictions
        assert {p.author for p in outcomes[0].predictions} == {"base"}
        assert outcomes[0].validation is not None and not outcomes[0].cost
        assert not outcomes[0].curves and outcomes[0].student is None


def test_only_a_student_that_chats_is_told_to_think(tmp_path, tiny_chat, asked):
    chat = {"name": str(tiny_chat(tmp_path / "chat")), "scratch": None}
    with tiny_lab(tmp_path / "a", student=chat) as lab:
        BaseArm().run(lab, 0)
    with tiny_lab(tmp_path / "b") as lab:
        BaseArm().run(lab, 0)
        question = lab.task.render(lab.data.test[0])
    told, bare = asked[0][0], asked[2][0]
    assert told == f"{bare}\n\nThink step by step, and end with this sentence: The answer is …."
    assert bare == question


def test_answers_are_read_leniently_circles_are_ended_and_prompts_have_no_limit(tmp_path, asked):
    with tiny_lab(tmp_path) as lab:
        graded = grade_arm(lab, BaseArm(), 0)
    settings = asked[0][1]
    assert settings.lenient and settings.stop_repetition and settings.source_limit is None
    assert "decode:greedy, lenient" in graded.score.signature()
    assert {p.stopped for p in graded.outcome.predictions} <= {"repetition", "limit", "end"}


def test_the_untrained_student_may_lead_and_has_no_folder(tmp_path, asked):
    with tiny_lab(tmp_path) as lab:
        best = best_student(lab, [grade_arm(lab, BaseArm(), 0)])
    assert (best.name, best.folder) == ("base", None)


def test_further_test_sets_are_answered_by_their_own_task(tmp_path, asked):
    rows = [{"id": "s1", "question": "Is it?", "answer": "yes"}]
    write_rows(tmp_path / "more.jsonl", rows)
    also = {"also_test": {"strategyqa": str(tmp_path / "more.jsonl")}}
    with tiny_lab(tmp_path, data=also) as lab:
        outcome = BaseArm().run(lab, 0)
    assert [p.problem_id for p in outcome.further["strategyqa"]] == ["s1"]
