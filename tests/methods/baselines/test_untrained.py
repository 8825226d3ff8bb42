"""The student before training answers, read leniently, and costs nothing."""

from dataclasses import replace

import pytest

import smallsteps.experiment.job as job_module
from smallsteps.errors import RecipeError
from smallsteps.experiment.grading import best_student, grade_arm
from smallsteps.generation.solve import load_with_task
from smallsteps.methods.baselines.untrained import (
    BaseArm,
    FewShotArm,
    refuse_encoder_decoder,
    worked_examples,
)
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.students.loading import load_student
from smallsteps.tasks.files import write_rows
from tiny_labs import tiny_lab
from tiny_runs import TINY_STUDENT
from tiny_students import make_student


@pytest.fixture
def asked(monkeypatch):
    """What `solve` was called with: (first question as the student reads it, settings)."""
    calls = []
    solve = job_module.solve

    def spy(student, problems, task, settings, decoding, **more):
        calls.append((task.render(problems[0]), settings))
        short = replace(task, max_chain_tokens=16)
        return solve(student, problems, short, settings, decoding, **more)

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
    with tiny_lab(tmp_path, arms=["base"], student=student) as lab:
        outcomes = [BaseArm().run(lab, seed) for seed in (0, 1)]
        assert outcomes[0] == outcomes[1]
        assert len(asked) == 2, "test and validation, of one seed"
        assert len(outcomes[0].predictions) == 6 and outcomes[0].shown == outcomes[0].predictions
        assert {p.author for p in outcomes[0].predictions} == {"base"}
        assert outcomes[0].validation is not None and not outcomes[0].cost
        assert not outcomes[0].curves and outcomes[0].student is None


def test_only_a_student_that_chats_is_told_to_think(tmp_path, tiny_chat, asked):
    chat = {"name": str(tiny_chat(tmp_path / "chat")), "scratch": None}
    with tiny_lab(tmp_path / "a", arms=["base"], student=chat) as lab:
        BaseArm().run(lab, 0)
    with tiny_lab(tmp_path / "b", arms=["base"]) as lab:
        BaseArm().run(lab, 0)
        question = lab.task.render(lab.data.test[0])
    told, bare = asked[0][0], asked[2][0]
    assert told == f"{bare}\n\nThink step by step, and end with this sentence: The answer is …."
    assert bare == question


def test_answers_are_read_leniently_circles_are_ended_and_prompts_have_no_limit(tmp_path, asked):
    with tiny_lab(tmp_path, arms=["base"]) as lab:
        graded = grade_arm(lab, BaseArm(), 0)
    settings = asked[0][1]
    assert settings.lenient and settings.stop_repetition and settings.source_limit is None
    assert "decode:greedy, lenient" in graded.score.signature()
    assert {p.stopped for p in graded.outcome.predictions} <= {"repetition", "limit", "end"}


def test_the_untrained_student_may_lead_and_has_no_folder(tmp_path, asked):
    with tiny_lab(tmp_path, arms=["base"]) as lab:
        best = best_student(lab, [grade_arm(lab, BaseArm(), 0)])
    assert (best.name, best.folder) == ("base", None)


def test_further_test_sets_are_answered_by_their_own_task(tmp_path, asked):
    rows = [{"id": "s1", "question": "Is it?", "answer": "yes"}]
    write_rows(tmp_path / "more.jsonl", rows)
    also = {"also_test": {"strategyqa": str(tmp_path / "more.jsonl")}}
    with tiny_lab(tmp_path, arms=["base"], data=also) as lab:
        outcome = BaseArm().run(lab, 0)
    assert [p.problem_id for p in outcome.further["strategyqa"]] == ["s1"]


def test_a_prompt_of_the_recipe_is_put_to_any_student(tmp_path, asked):
    (tmp_path / "mine.txt").write_text("[user]\nSolve: {{ question }}", encoding="utf-8")
    with tiny_lab(tmp_path, arms=["base"], baselines={"prompt": str(tmp_path / "mine.txt")}) as lab:
        BaseArm().run(lab, 0)
        question = lab.task.render(lab.data.test[0])
    assert asked[0][0] == f"Solve: {question}"


# ---- base-fewshot ----


@pytest.fixture
def few_shot(tmp_path, tiny_chat):
    """A lab with a student that chats, and two worked examples."""
    student = {"name": str(tiny_chat(tmp_path / "chat")), "scratch": None}
    settings = {"arms": ["base-fewshot", "direct"], "baselines": {"shots": 2}}
    with tiny_lab(tmp_path, student=student, **settings) as lab:
        yield lab


def test_worked_examples_stand_before_every_question_as_turns_of_a_chat(few_shot, asked):
    outcome = FewShotArm().run(few_shot, 0)
    assert outcome.student == few_shot.run.path / "arms/base-fewshot-seed0/student/student"
    student = load_student(outcome.student)
    train = {few_shot.task.render(c.problem): c.rationale.text for c in few_shot.data.train_chains}
    shots = student.drive.demonstrations
    assert len(shots) == 2 and all(train[question] == text for question, text in shots)
    ids = student.source_ids(few_shot.task, asked[0][0])
    text = student.tokenizer.decode(ids)
    turns = [part for pair in shots for part in pair] + [
        few_shot.task.render(few_shot.data.test[0])
    ]
    places = [text.index(turn) for turn in turns]
    assert places == sorted(places) and text.count("<|im_start|>assistant") == 3
    assert "step by step" not in asked[0][0]
    assert (
        asked[0][1].lenient and asked[0][1].stop_repetition and outcome.decode.endswith("lenient")
    )


def test_the_seed_draws_the_examples_and_a_run_that_goes_on_draws_them_again(few_shot, asked):
    def shots(seed):
        return load_student(FewShotArm().student(few_shot, seed)).drive.demonstrations

    assert shots(0) == shots(0) and shots(0) != shots(1)


def test_the_student_that_is_handed_out_answers_as_the_arm_did(few_shot):
    graded = grade_arm(few_shot, FewShotArm(), 0)
    best = best_student(few_shot, [graded])
    assert best.name == "base-fewshot"
    loaded = load_with_task(few_shot.run.path / best.folder)
    assert loaded.settings().lenient and loaded.settings().stop_repetition
    problem = few_shot.data.test[0]
    assert loaded(problem.question).text == graded.outcome.predictions[0].text


def test_a_question_comes_with_one_chain_and_few_chains_are_all_used():
    chains = [Chain(Problem(p, p), Rationale(f"{p}{n}", p, "x")) for p in "ab" for n in (0, 1)]
    drawn = worked_examples(chains, 5, seed=3)
    assert sorted(chain.rationale.id for chain in drawn) == ["a0", "b0"]


def test_an_encoder_decoder_reads_no_examples(tmp_path):
    with pytest.raises(RecipeError, match="base-fewshot is for causal students, and bundled is an"):
        refuse_encoder_decoder(False, "bundled")
    refuse_encoder_decoder(None, "hub/unknown")
    with (
        tiny_lab(tmp_path, arms=["base-fewshot"]) as lab,
        pytest.raises(RecipeError, match="base-fewshot is for causal students"),
    ):
        FewShotArm().student(lab, 0)


def test_examples_that_leave_no_room_are_refused_with_what_to_lower(tmp_path):
    tiny = make_student("llama")  # reads 256 tokens
    tiny.save(tmp_path / "student")
    with (
        tiny_lab(
            tmp_path,
            student={"name": str(tmp_path / "student"), "scratch": None},
            arms=["base-fewshot"],
            baselines={"shots": 8},
        ) as lab,
        pytest.raises(
            RecipeError, match=r"base-fewshot: .* reads 256\..* Or lower baselines\.shots"
        ),
    ):
        FewShotArm().student(lab, 0)
