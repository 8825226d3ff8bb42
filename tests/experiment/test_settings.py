"""Data and evaluation of a run."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.settings import DataSettings, EvaluationSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"chains": []},
            r"chains: expected text \(not empty\) or a list \(not empty\) of texts, got",
        ),
        ({"count": 9}, "count: expected a whole number of at least 10, got 9"),
        ({"difficulty": "hrad"}, "difficulty: expected one of easy, medium, hard, got 'hrad'. Did"),
        ({"split_seed": -1}, "split_seed: expected a whole number of at least 0"),
    ],
)
def test_invalid_settings_of_the_data_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^DataSettings: {message}"):
        DataSettings(**values)


def test_a_checkpoint_is_chosen_by_a_known_criterion():
    with pytest.raises(
        RecipeError, match=r"^EvaluationSettings: checkpoint: expected one of metric"
    ):
        EvaluationSettings(checkpoint="loss")  # type: ignore[arg-type]
