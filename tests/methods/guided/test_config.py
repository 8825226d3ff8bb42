"""The names of guided arms, and what a recipe with them must hold."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.method import method_of
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.recipe_schema import recipe_schema
from smallsteps.methods.guided.config import (
    METHOD,
    RefinementSettings,
    arm_names,
    guided_parts,
    guided_students,
)
from tiny_guided import guided_content


def test_rollouts_of_a_server_have_log_probabilities_and_a_local_engine_has_no_effect() -> None:
    with pytest.raises(
        RecipeError, match=r"temperature: a vLLM server gives .* at 1 only, got 0\.7"
    ):
        RefinementSettings(engine="vllm", temperature=0.7)
    assert not {"engine", "server"} & RefinementSettings(temperature=0.7).effects().keys()
    assert RefinementSettings(engine="vllm").effects()["engine"] == "vllm"


def test_a_text_as_the_judge_is_its_name(tmp_path):
    content = guided_content(tmp_path / "replies.sqlite")
    assert make_recipe(content).guided.judge.name == "lexical"
    content["guided"]["judge"] = "endpoint:j"
    short = make_recipe(content)
    content["guided"]["judge"] = {"name": "endpoint:j", "calls": 9}
    long = make_recipe(content)
    assert short.guided.judge.is_chat and short.digest() == long.digest(), "limits change no result"
    kinds = recipe_schema()["$defs"]["GuidedSettings"]["properties"]["judge"]["anyOf"]
    assert {"type": "string"} in kinds, "an editor takes both"
    content["guided"]["judge"] = 3
    with pytest.raises(RecipeError, match=r"guided\.judge: expected a section of .*, got 3"):
        make_recipe(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ["guided-distiled", "guided-standard"]}, "distiled.*guided-distilled"),
        ({"arms": ["standard", "guided-both"]}, "'standard' is called 'guided-standard' now"),
        ({"arms": ["guided-distilled"]}, "name it among them"),
        ({"guided": {"readr": {}}}, "guided.readr.*reader"),
        ({"tailored": {}}, "tailored: no arm reads this section"),
        ({"train": {"budget": None}}, "needs train.budget"),
        ({"data": {"also_test": {"facts": "x.jsonl"}}}, "reads one test set"),
        (
            {"guided": {"reader": {"name": "trained"}}, "data": {"task": "hotpotqa"}},
            "bundled facts only",
        ),
        (
            {
                "guided": {"reader": {"name": "trained"}},
                "data": {"task": "facts", "chains": "bundled"},
                "train": {"learning_rate": [1e-3, 1e-2]},
            },
            "train.learning_rate: expected one number, got a list: the trained reader",
        ),
        ({"guided": {"reinforce": {"estimator": "a2c"}}}, "estimator"),
    ],
)
def test_arms_and_settings_that_do_not_go_together_are_refused(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(guided_content(tmp_path / "x", **changes))


def test_beside_arms_of_another_method_the_reader_need_not_answer_alone():
    recipe = make_recipe(guided_content("x", arms=["direct", "guided-distilled"]))
    assert recipe.arms == ["direct", "guided-distilled"]


def test_every_arm_is_known_by_its_name_and_every_earlier_name_leads_to_one():
    names = arm_names()
    assert len(names) == len(set(names)) == 12 + 8 * 6 + 2
    assert {method_of(name).name for name in names} == {"guided"}
    assert sorted(METHOD.renamed.values()) == sorted(names)
    assert METHOD.renamed["distilled-sc"] == "guided-distilled-sc"


def test_only_writers_have_further_kinds():
    """`cot-sc`, `gold-facts` and `random-context` have a hyphen and no writer."""
    for kind in ("cot-sc", "gold-facts", "random-context", "small"):
        assert guided_parts(kind) == (kind, None)
    assert guided_parts("both-masked") == ("both", "masked")


def test_a_refined_student_and_random_sentences_need_the_distilled_one():
    assert guided_students(["standard", "dpo-sc"]) == ["distilled", "dpo"]
    assert guided_students(["random-context"]) == ["distilled"]
    assert guided_students(["standard", "cot", "gold-facts", "untrained-sc"]) == []
