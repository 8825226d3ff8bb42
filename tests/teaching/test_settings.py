"""Settings of a teacher."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.teaching.settings import TeacherSettings


def test_without_a_name_the_exact_solver_teaches():
    assert TeacherSettings().name == "solver"


@pytest.mark.parametrize("value", [0, 0.0, 1, 0.7])
def test_a_temperature_keeps_the_type_of_its_zero(value):
    """0 and 0.0 are different requests to the store of paid replies."""
    temperature = TeacherSettings(temperature=value).temperature
    assert temperature == value and isinstance(temperature, float if value else type(value))


@pytest.mark.parametrize("value", [1e-30, -1, 1001])
def test_a_temperature_is_zero_or_one_that_can_be_sampled_at(value):
    with pytest.raises(
        RecipeError, match=r"^TeacherSettings: temperature: expected 0 \(greedy\) or"
    ):
        TeacherSettings(temperature=value)


def test_a_temperature_changes_replies_and_so_does_the_prompt():
    assert {"temperature", "initial", "max_new_tokens"} <= set(TeacherSettings().effects())
