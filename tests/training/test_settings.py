"""Settings of training: what is refused, and by what line."""

from types import SimpleNamespace

import pytest
import torch

from smallsteps.errors import InternalError, RecipeError, TrainingError
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
        (
            {"learning_rate": -1},
            "learning_rate: expected a number above 0 or a list of numbers above 0, or null, got -1",
        ),
        (
            {"learning_rate": [1e-3, -1]},
            r"learning_rate\[1\]: expected a number above 0, got -1\.$",
        ),
        ({"learning_rate": [1e-3, 1e-3]}, "learning_rate: 0.001 is named twice"),
        ({"learning_rate": []}, r"learning_rate: expected a number or a list of numbers, got \[\]"),
        ({"search_share": 0}, "search_share: expected a number above 0 and of at most 1, got 0"),
        ({"warmup_share": 1.0}, "warmup_share: expected a number of at least 0 and below 1, got 1"),
        ({"source_limit": 1}, "source_limit: expected a whole number of at least 2, or null"),
        ({"seed": 1}, "unknown key 'seed'"),
        ({"fair": "passes"}, "unknown key 'fair'. It is called 'until' now."),
        (
            {"until": "plateau", "evaluations": 4},
            r"patience: expected less than evaluations \(4\), got 4: no plateau could be seen",
        ),
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


def test_until_the_plateau_the_rate_is_constant_and_evaluations_are_denser():
    plateau = TrainSettings(until="plateau")
    assert (plateau.schedule, plateau.evaluations) == ("constant", 20)
    named = TrainSettings(until="plateau", schedule="linear", evaluations=40)
    assert (named.schedule, named.evaluations) == ("linear", 40)
    assert (TrainSettings().schedule, TrainSettings().evaluations) == ("cosine", 10)


def test_the_warm_up_is_a_share_of_the_shortest_training_that_can_end_at_a_plateau():
    assert TrainSettings(warmup_share=0.2).warmup == 0.2
    plateau = TrainSettings(until="plateau", warmup_share=0.2, patience=4, evaluations=20)
    assert plateau.warmup == pytest.approx(0.2 * 5 / 20)


def test_one_training_has_one_rate():
    assert (
        TrainSettings(learning_rate=[1e-3]).rate == TrainSettings(learning_rate=1e-3).rate == 1e-3
    )
    with pytest.raises(TrainingError, match="expected one number, got 2: a run searches among sev"):
        _ = TrainSettings(learning_rate=[1e-3, 1e-2]).rate


def test_what_is_not_read_changes_no_digest():
    assert TrainSettings(search_share=0.5).effects() == TrainSettings().effects()
    assert TrainSettings(patience=9).effects() == TrainSettings().effects()
    plateau = TrainSettings(until="plateau")
    assert plateau.changed(patience=9).effects() != plateau.effects()
    assert not {"compile", "packing"} & set(TrainSettings().effects())
    assert TrainSettings(compile=True).effects()["compile"] is True


def test_a_size_of_micro_batches_that_the_device_decides_binds_a_run_to_no_device():
    """Nor to the version in which the default was the CPU's number."""
    assert TrainSettings().micro_batch_tokens is None
    assert TrainSettings().effects() == TrainSettings(micro_batch_tokens=4096).effects()
    assert TrainSettings().effects() != TrainSettings(micro_batch_tokens=4097).effects()


@pytest.mark.parametrize(
    ("architecture", "weights", "rate"),
    [
        ("encoder-decoder", 77_000_000, 5e-4),
        ("causal", 135_000_000, 2e-4),
        ("causal", 10_000_000, 2e-4),
        ("causal", 9_999_999, 1e-3),
        ("encoder-decoder", 2_400_000, 1e-3),
    ],
)
def test_where_no_rate_is_named_the_student_decides(architecture, weights, rate):
    weight = torch.empty(weights, device="meta")
    model = SimpleNamespace(parameters=lambda: iter([weight]))
    student = SimpleNamespace(architecture=architecture, model=model)
    assert TrainSettings().for_student(student).rate == rate
    named = TrainSettings(learning_rate=3e-3)
    assert named.for_student(student) is named
    searched = TrainSettings(learning_rate=[1e-3, 1e-2])
    assert searched.for_student(student) is searched


def test_a_rate_that_nobody_decided_is_an_error_of_ours():
    with pytest.raises(InternalError, match="learning_rate: no student has decided it"):
        _ = TrainSettings().rate
