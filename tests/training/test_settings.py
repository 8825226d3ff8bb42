"""Settings of training: what is refused, and by what line."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.training.settings import (
    NO_PROMPT_LOSS,
    ContrastSettings,
    ReinforceSettings,
    TrainSettings,
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "cosin"}, "schedule: expected one of cosine, linear, constant, got 'cosin'"),
        ({"dtype": "float16"}, "dtype: expected one of float32, bfloat16, got 'float16'"),
        ({"passes": 0}, "passes: expected a number above 0, got 0"),
        ({"budget": 0}, "budget: expected a whole number of at least 1, or null, got 0"),
        ({"learning_rate": -1}, "learning_rate: expected a number above 0, got -1"),
        ({"warmup_share": 1.0}, "warmup_share: expected a number of at least 0 and below 1, got 1"),
        ({"source_limit": 1}, "source_limit: expected a whole number of at least 2, or null"),
        ({"seed": 1}, "unknown key 'seed'"),
    ],
)
def test_invalid_settings_of_training_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^TrainSettings: {message}"):
        TrainSettings(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 1}, "samples: expected at least 2 with rloo, got 1"),
        ({"estimator": "reinforce"}, "estimator: expected one of rloo, grpo, ppo, raft, dpo, got"),
        ({"estimator": "dpo", "epochs": 2}, "epochs: expected at most 1 with dpo, got 2"),
        ({"clip": 1.0}, "clip: expected a number above 0 and below 1, got 1"),
    ],
)
def test_invalid_settings_of_reinforcement_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^ReinforceSettings: {message}"):
        ReinforceSettings(**values)


def test_only_ppo_learns_from_one_rollout():
    assert ReinforceSettings(samples=1, estimator="ppo").samples == 1


def test_training_on_examples_alone_gives_prompts_no_weight():
    assert NO_PROMPT_LOSS.changed(prompt_weight=0.1) == ContrastSettings()
