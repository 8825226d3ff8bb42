"""What a key expects is read off its type and bounds."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from smallsteps.config import Settings
from smallsteps.config_errors import describe_type, shown
from smallsteps.errors import RecipeError
from smallsteps.experiment.recipe import load_recipe


class Section(Settings):
    required: int
    kind: Literal["mean", "sum"] = "mean"
    share: float = Field(0.5, ge=0, le=1)
    large: int = Field(1, ge=1, le=1_000_000)
    text: Annotated[str, Field(min_length=1)] | None = None
    values: list[Annotated[float, Field(ge=0)]] = Field(default_factory=list)
    seconds: float | None = Field(None, gt=0, examples=[2.5])


@pytest.mark.parametrize(
    ("annotation", "description"),
    [
        (int, "a whole number"),
        (str, "text"),
        (bool | None, "true or false, or null"),
        (Literal["a", "b"], "one of a, b"),
        (Literal[0] | float, "0 or a number"),
        (list[str], "a list of texts"),
        (tuple[str, ...], "a list of texts"),
        (dict[str, list[float]], "`name: value` lines with lists of numbers"),
        (Section | None, "a section of `key: value` lines, or null"),
        (Annotated[float, Field(gt=0, lt=1)], "a number above 0 and below 1"),
    ],
)
def test_types_are_described_in_plain_english(annotation, description):
    assert describe_type(annotation) == description


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "required: expected a whole number, got none."),
        ({"kind": "meen"}, "kind: expected one of mean, sum, got 'meen'. Did you mean 'mean'?"),
        ({"share": 2}, "share: expected a number from 0 to 1, got 2. Type for example share=0.5"),
        (
            {"large": 0},
            "large: expected a whole number of at least 1, got 0. Type for example large=1",
        ),
        (
            {"large": 2_000_000},
            "large: expected a whole number from 1 to 1,000,000, got 2000000. "
            "Type for example large=1",
        ),
        ({"text": ""}, "text: expected text (not empty), or null, got ''."),
        ({"values": [1, -1]}, "values[1]: expected a number of at least 0, got -1."),
        (
            {"seconds": "1e-3x"},
            "seconds: expected a number above 0, or null, got '1e-3x'. "
            "Type for example seconds=2.5",
        ),
    ],
)
def test_each_error_says_key_expectation_value_and_an_example(values, message):
    with pytest.raises(RecipeError) as raised:
        Section(**{"required": 1, **values} if values else {})
    assert str(raised.value) == f"Section: {message}"


def test_further_wrong_keys_are_counted():
    with pytest.raises(RecipeError, match=r"\(2 more keys are wrong\)$"):
        Section(required="x", share=2, large=0)  # type: ignore[arg-type]


def test_long_values_are_cut():
    assert shown("x" * 100) == "'" + "x" * 56 + "..."
    assert (shown(None), shown(True), shown(0.1)) == ("nothing", "true", "0.1")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lr", "'train.learning_rate' or 'guided.reinforce.learning_rate'?"),
        ("learningrate", "'train.learning_rate' or"),
        ("epochs", "'train.passes' or 'guided.reinforce.epochs'?"),
        ("train.num_train_epochs", "'train.passes'?"),
        ("batch_size", "'train.update_examples' or 'evaluation.batch_size'?"),
        ("dtype", "'student.dtype', 'train.dtype' or 'evaluation.dtype'?"),
        ("train.learning_rte", "'learning_rate'? Known: budget, "),
    ],
)
def test_a_key_of_another_section_or_tool_is_told_where_it_belongs(key, meant):
    with pytest.raises(RecipeError) as raised:
        load_recipe("demo", [f"{key}=1"])
    assert f"unknown key {key!r}. Did you mean {meant}" in str(raised.value)
