"""Baselines that a task cannot have are refused before the run."""

from types import SimpleNamespace

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.generation.access import Access
from smallsteps.methods.baselines import before
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks import get_task

REPORTS = {"task": "pet", "chains": "x"}


def test_whole_reports_are_for_tasks_with_reports(recipe_of):
    recipe = recipe_of(arms=["direct-report"])
    with pytest.raises(RecipeError, match="direct-report is for reports; the task 'stories'"):
        before.check(recipe, ["direct-report"], get_task("stories"), Access(), False)
    recipe = recipe_of(arms=["direct-report"], data=REPORTS)
    before.check(recipe, ["direct-report"], get_task("pet"), Access(), False)


def test_a_task_without_answer_sentences_has_no_answer_only_arm(recipe_of):
    recipe = recipe_of(arms=["base", "answer-only", "direct"], data=REPORTS)
    with pytest.raises(RecipeError, match=r"the task 'pet' has none\. Leave it .*: base, direct$"):
        before.check(recipe, ["answer-only"], get_task("pet"), Access(), False)
    before.check(recipe, ["answer-only"], get_task("stories"), Access(), False)


def test_self_training_is_planned_with_its_rounds_and_samples_and_needs_answers(recipe_of):
    arms = ["direct", "self-training"]
    recipe = recipe_of(arms=arms, baselines={"rounds": 3, "samples": 5})
    assert before.variants(recipe, arms) == arms and before.models(recipe, arms) == 1 + 3
    (line,) = before.plan(recipe, arms, 10, 20)
    assert "5 chains of every training question in each of at most 3 rounds" in line
    with pytest.raises(RecipeError, match=r"self-training needs answer .*: direct$"):
        before.check(recipe, ["self-training"], get_task("pet"), Access(), None)


def test_an_answer_that_cannot_be_learnt_is_refused_before_any_training(recipe_of):
    chain = Chain(Problem("p", "?", "1. Or 2"), Rationale("r", "p", "So. The answer is 1."))
    data = SimpleNamespace(train_chains=[chain], validation_chains=[], task=get_task("text"))
    with pytest.raises(DataError, match=r"^r: the answer '1\. Or 2' cannot be read back"):
        before.check_data(recipe_of(arms=["answer-only"]), ["answer-only"], data)
    before.check_data(recipe_of(arms=["direct"]), ["direct"], data)


def test_the_untrained_student_is_planned_without_a_model(recipe_of):
    arms = ["base", "answer-only", "direct"]
    recipe = recipe_of(arms=arms)
    assert before.variants(recipe, arms) == arms and before.models(recipe, arms) == 2
    assert before.models(recipe, ["base"]) == 0


def test_one_model_is_trained_for_each_value_of_a_sweep(recipe_of, tmp_path):
    arms = ["direct", "direct-report"]
    recipe = recipe_of(arms=arms, data=REPORTS, sweep={"gamma": [0, 1]})
    names = ["direct-gamma=0", "direct-gamma=1", "direct-report"]
    assert before.variants(recipe, arms) == names and before.models(recipe, arms) == 3
    assert before.plan(recipe, arms, 10, 20) == []
    command = before.next_command(recipe, tmp_path, tmp_path / "student")
    assert command == ["smallsteps", "solve", str(tmp_path / "student"), "your question"]


def test_worked_examples_are_refused_for_an_encoder_decoder_and_a_bad_prompt_by_name(
    recipe_of, tmp_path
):
    few = recipe_of(arms=["base-fewshot"])
    with pytest.raises(RecipeError, match="base-fewshot is for causal students"):
        before.check(few, ["base-fewshot"], get_task("stories"), Access(), False)
    before.check(few, ["base-fewshot"], get_task("stories"), Access(), True)
    before.check(few, ["base-fewshot"], get_task("stories"), Access(), None)
    base = recipe_of(arms=["base"], baselines={"prompt": str(tmp_path / "none.txt")})
    with pytest.raises(RecipeError, match=r"none\.txt'?: no such file"):
        before.check(base, ["base"], get_task("stories"), Access(), True)
    (tmp_path / "bad.txt").write_text("[user]\n{{ question }} {{ answer }}", encoding="utf-8")
    base = recipe_of(arms=["base"], baselines={"prompt": str(tmp_path / "bad.txt")})
    problem = Problem("p", "?", "1")
    data = SimpleNamespace(task=get_task("stories"), test=[problem])
    with pytest.raises(DataError, match=r"bad\.txt, problem p: .*answer"):
        before.check_data(base, ["base"], data)
