"""What is refused before the first call and the first training, and what a dry run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import DataError, RecipeError, UserError
from smallsteps.experiment.beforehand import rehearse
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.generation.access import Access
from smallsteps.methods.guided.before import models, next_command, plan, variants
from smallsteps.students.loading import load_student
from smallsteps.tasks.files import write_rows
from tiny_guided import guided_content, name_rows


def test_a_reader_that_cannot_be_asked_shows_before_any_training(tmp_path):
    content = guided_content(tmp_path / "replies.sqlite")
    content["guided"]["reader"]["base_url"] = "https://nobody.invalid/v1"
    with pytest.raises(RecipeError, match="OPENAI_API_KEY"):
        run(make_recipe(content), tmp_path / "run", access=Access(None, None))
    assert not list((tmp_path / "run").glob("seed*"))


def test_a_device_that_is_not_there_shows_before_anything_is_read(recipe_of, run_recipe, server):
    with pytest.raises(RecipeError, match=r"student\.device cuda:99: "):
        run_recipe(recipe_of(student={"device": "cuda:99"}))
    assert not server.bodies


def test_rollouts_that_no_server_can_write_show_before_the_first_call(
    recipe_of, run_recipe, tmp_path, server
):
    content = guided_content(tmp_path / "replies.sqlite")["guided"]
    guided = {**content, "reinforce": {**content["reinforce"], "engine": "vllm"}}
    with pytest.raises(RecipeError, match=r"^guided\.reinforce\.engine=vllm writes for causal stu"):
        run_recipe(recipe_of(guided=guided))
    assert not server.bodies
    refined_by_nobody = recipe_of(guided=guided, arms=["guided-standard", "guided-distilled"])
    assert run_recipe(refined_by_nobody, "other").arms


def test_a_judge_that_is_none_shows_before_the_first_call(recipe_of, run_recipe, tmp_path, server):
    load_student("bundled").save(tmp_path / "t5")
    guided = guided_content(tmp_path / "replies.sqlite")["guided"]
    with pytest.raises(UserError, match="judge"):
        run_recipe(recipe_of(guided={**guided, "judge": str(tmp_path / "t5")}))
    assert not server.bodies


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"judge": {"base_url": "http://localhost:1/v1"}},
            r"guided\.judge\.base_url=http://localhost:1/v1: has no effect beside "
            r"guided\.judge\.name=lexical\. For a chat model type guided\.judge\.name=endpoint:MODEL",
        ),
        (
            {"judge": {"name": "gpt", "prompts": "mine"}},
            r"guided\.judge\.prompts=mine: .* type guided\.judge\.name=endpoint:gpt",
        ),
        (
            {"judge": "endpoint:m", "encoder": "some/encoder"},
            r"guided\.encoder=some/encoder: has no effect .* Type guided\.encoder=lexical",
        ),
        ({"judge": "endpoint:./m"}, r"guided\.judge: the judge \./m: no such file or folder"),
        ({"judge": "local:./nowhere"}, r"guided\.judge: .*nowhere: no such folder"),
        (
            {"judge": {"name": "endpoint:m", "prompts": "none"}},
            r"guided\.judge: judge prompts none: no such folder",
        ),
    ],
)
def test_a_chat_model_that_cannot_judge_shows_before_the_first_call(
    recipe_of, run_recipe, server, changes, message
):
    with pytest.raises(RecipeError, match=message):
        run_recipe(recipe_of(guided={**recipe_of().guided.model_dump(), **changes}))
    assert not server.bodies


def test_a_dry_run_counts_the_calls_that_a_chat_model_may_get_as_the_judge():
    """By hand, of two seeds and 10 questions in all: 2 x (1 + 1 + 1 + 1 + 2 samples) x 10 rationales
    to answer with and to choose from; one of two refinements is rewarded for quality, 8 rollouts at each seed; 20
    rationales as they are and spoilt in 7 ways. 5 calls each."""
    arms = [
        "guided-standard",
        "guided-both",
        "guided-task",
        "guided-cot",
        "guided-distilled-quality",
    ]
    content = guided_content("x", arms=arms, seeds=[0, 1])
    content["guided"]["judge"] = "endpoint:j"
    _, calls = plan(make_recipe(content), arms, 8, 10)
    assert f"judge endpoint:j: 5 calls per rationale, at most {5 * (120 + 16):,} with 10" in calls
    assert "before training 800 to measure it" in calls


def test_confidence_and_uplift_need_the_weights_of_the_reader(
    recipe_of, run_recipe, tmp_path, server
):
    guided = guided_content(tmp_path / "replies.sqlite")["guided"]
    for changes in (
        {"arms": ["guided-standard", "guided-distilled-confidence"]},
        {"guided": {**guided, "reinforce": {"uplift": True}}},
    ):
        with pytest.raises(RecipeError, match="need the reader's weights"):
            run_recipe(recipe_of(**changes))
    assert not server.bodies


def test_a_dry_run_counts_the_calls_that_the_reader_may_get():
    """By hand, with 10 questions in all: 10 to learn from; of two seeds 2 x (1 + 1 + 2 samples) x
    10 answers; 2 refinements x 2 steps x 2 prompts x 2 samples; 2 x (1 + 1) evaluations x 10."""
    arms = ["guided-standard", "guided-both", "guided-distilled-sc"]
    recipe = make_recipe(guided_content("x", arms=arms, seeds=[0, 1]))
    (calls,) = plan(recipe, arms, 8, 10)
    assert "4 per test question and seed, at most 8 rewards for each of 2 refinements" in calls
    assert f"at most {10 + 80 + 16 + 40} calls" in calls


def test_a_dry_run_counts_no_call_for_questions_whose_rationales_the_data_has():
    arms = ["guided-standard", "guided-distilled"]
    content = guided_content("x", arms=arms)
    content["guided"]["rationales"] = "data"
    (calls,) = plan(make_recipe(content), arms, 8, 10)
    assert "no call per training question" in calls
    assert "at most 30 calls" in calls, "two answers and one evaluation of each question"


def test_questions_without_a_rationale_to_learn_show_before_the_first_call(
    recipe_of, run_recipe, tmp_path, server
):
    rows = [{**row, "rationale": "It is so."} for row in name_rows(20)]
    for row in rows[::2]:
        del row["rationale"]
    write_rows(tmp_path / "bare.jsonl", rows)
    content = guided_content(tmp_path / "replies.sqlite")["guided"]
    data = {"task": "hotpotqa", "chains": str(tmp_path / "bare.jsonl")}
    changes = {"data": data, "guided": {**content, "rationales": "data"}}
    with pytest.raises(
        DataError,
        match=r"guided\.rationales=data: \d+ of 16 training questions .*first is \d*[02468]\. Add",
    ):
        run_recipe(recipe_of(arms=["guided-standard", "guided-distilled"], **changes))
    assert not server.bodies
    without_student = recipe_of(arms=["guided-standard", "guided-gold-facts"], **changes)
    with rehearse(without_student, Access(None, "sk-x")) as data:
        assert len(data.test) > 0


def test_students_that_arms_share_are_trained_once():
    arms = ["guided-standard", "guided-both", "guided-both-sc", "guided-random-context"]
    recipe = make_recipe(guided_content("x", arms=arms))
    assert models(recipe, arms) == 2, "distilled, and both"
    assert variants(recipe, arms) == arms


def test_the_next_command_names_what_differs_from_the_defaults():
    recipe = make_recipe(guided_content("x"))
    content = guided_content("x")
    content["guided"]["reader"] |= {"name": "trained"}
    trained = make_recipe(content)
    out, student = Path("runs/a"), Path("runs/a/seed0/both")
    assert " ".join(next_command(recipe, out, student)) == (
        "smallsteps guide questions.jsonl --guide runs/a/seed0/both --reader m "
        "--out answers.jsonl --task facts"
    )
    command = next_command(trained, out, student)
    assert command[command.index("--reader") + 1] == "runs/a/reader"
