"""An editor that knows the schema accepts what a run accepts, and marks what it refuses."""

import copy

import pytest
from jsonschema import Draft202012Validator

from smallsteps.config import apply_changes
from smallsteps.experiment.recipe import load_recipe, recipe_content, recipe_names
from smallsteps.experiment.recipe_schema import recipe_schema

RECIPES = [name for name in recipe_names() if not name.startswith("student/")]


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", RECIPES)
def test_every_bundled_recipe_is_valid_as_written_and_resolved(validator, name):
    validator.validate(recipe_content(name))
    validator.validate(load_recipe(name).model_dump(mode="json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.learning_rat=1", "'learning_rat' was unexpected"),
        ("datta.count=1", "'datta' was unexpected"),
        ("train.passes=0", "0 is less than or equal to the minimum of 0"),
        ("train.learning_rate=0", "0 is not valid under any of the given schemas"),
        ("train.schedule=cosin", "'cosin' is not one of ['cosine', 'linear', 'constant']"),
        ("seeds=[]", "[] should be non-empty"),
        ("evaluation.batch_size=many", "'many' is not of type 'integer'"),
        ("train.gradient_checkpointing=1", "1 is not of type 'boolean'"),
    ],
)
def test_an_invalid_key_or_value_is_marked(validator, change, message):
    content = copy.deepcopy(recipe_content("demo"))
    apply_changes(content, [change])
    (error,) = validator.iter_errors(content)
    assert message in error.message


def test_keys_are_described_by_their_docstrings():
    schema = recipe_schema()
    assert schema["properties"]["seeds"]["description"] == "Training seeds."
    train = schema["$defs"]["TrainSettings"]["properties"]
    assert train["learning_rate"]["description"].startswith("Highest learning rate")
    assert "title" not in train["learning_rate"]
