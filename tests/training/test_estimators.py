"""Advantages by hand, weights that sum to 1, and an estimator from outside the package."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.roller import Roller
from smallsteps.training.estimators import (
    ESTIMATORS,
    Advantages,
    Estimator,
    Step,
    dpo,
    gae,
    grpo,
    raft,
    rloo,
    token_weights,
    whitened,
)
from smallsteps.training.reinforce import reinforce
from smallsteps.training.rollouts import Rewarded
from smallsteps.training.settings import ReinforceSettings


@given(st.lists(st.lists(st.floats(-5, 5), min_size=4, max_size=4), min_size=1, max_size=5))
def test_advantages_of_a_group_sum_to_zero(rewards):
    table = torch.tensor(rewards, dtype=torch.float64)
    for estimate in (rloo, grpo):
        assert torch.allclose(
            estimate(table).sum(1), torch.zeros(len(table), dtype=torch.float64), atol=1e-9
        )


def test_rloo_is_each_reward_less_the_mean_of_the_others():
    table = torch.tensor([[1.0, 0.0, 0.5], [2.0, 2.0, 2.0]])
    by_hand = [[r - (sum(row) - r) / 2 for r in row] for row in table.tolist()]
    assert torch.allclose(rloo(table), torch.tensor(by_hand))


def test_generalised_advantages_are_their_definition():
    values, reward, gamma, decay = torch.tensor([0.5, -0.2, 0.3]), 1.0, 0.9, 0.8
    following = [-0.2, 0.3, 0.0]
    deltas = [gamma * after - now for now, after in zip(values.tolist(), following, strict=True)]
    deltas[-1] += reward
    wanted = [sum((gamma * decay) ** (n - t) * deltas[n] for n in range(t, 3)) for t in range(3)]
    advantages, returns = gae(values, reward, gamma, decay)
    assert torch.allclose(advantages, torch.tensor(wanted)) and torch.allclose(
        returns, advantages + values
    )
    everything, _ = gae(torch.zeros(4), 1.0, 1.0, 1.0)
    assert torch.equal(everything, torch.ones(4)), "without discounts every token gets the reward"
    assert whitened(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1, 1])


def test_raft_takes_the_first_of_equal_best_ones():
    assert raft(torch.tensor([[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]])).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_dpo_moves_best_and_worst_apart_the_more_the_less_they_are():
    rewards = torch.tensor([[1.0, 0.0, 0.5], [2.0, 2.0, 2.0]], dtype=torch.float64)
    log_ratios = torch.tensor([[3.0, -1.0, 9.0], [1.0, 2.0, 3.0]])
    pull = 0.5 / (1 + torch.e ** (0.5 * 4.0))
    by_hand = [[pull, -pull, 0.0], [0.0, 0.0, 0.0]]
    for row, wanted in zip(dpo(rewards, log_ratios, 0.5).tolist(), by_hand, strict=True):
        assert row == pytest.approx(wanted), "a group of equal rewards is no pair"


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6),
    st.sampled_from(["token", "sequence"]),
)
def test_weights_sum_to_one_over_what_is_counted(rollouts, average):
    lengths = torch.tensor([length for length, _ in rollouts])
    counted = torch.tensor([flag for _, flag in rollouts])
    assert token_weights(lengths, average).sum().item() == pytest.approx(1, abs=1e-6)
    weights = token_weights(lengths, average, counted)
    assert weights.sum().item() == pytest.approx(float(counted.any()), abs=1e-6)
    assert not weights[~counted.repeat_interleave(lengths)].any()


def test_weights_are_equal_for_tokens_or_for_rollouts():
    lengths = torch.tensor([3, 1])
    assert token_weights(lengths, "token").tolist() == pytest.approx([1 / 4] * 4)
    assert token_weights(lengths, "sequence").tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])


def test_advantages_of_rollouts_are_spread_over_their_tokens_in_order_of_reading():
    step = Step(
        rewards=torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64),
        log_ratios=torch.zeros(2, 2),
        places=torch.tensor([3, 0, 1]),  # rollout 2 has no token
        lengths=torch.tensor([2, 1, 3]),
    )
    estimated = ESTIMATORS["rloo"].estimate(step, ReinforceSettings())
    assert estimated.advantages.tolist() == [2.0, 2.0, 1.0, -1.0, -1.0, -1.0]
    assert estimated.weights.tolist() == pytest.approx([1 / 6] * 6) and estimated.returns is None


def test_an_estimator_from_outside_is_trained_with_and_known_to_the_settings(
    tiny, tmp_path, monkeypatch
):
    """`docs/extending.md` has the same in fewer lines."""
    steps = []

    def centred(step, options):
        """Each reward less the mean of all, without a baseline per group."""
        steps.append(step)
        table = step.rewards - step.rewards.mean()
        spread = table.flatten()[step.places].repeat_interleave(step.lengths)
        return Advantages(spread, token_weights(step.lengths, options.average))

    with pytest.raises(RecipeError, match="expected one of rloo, grpo, ppo, raft, dpo, got 'cent"):
        ReinforceSettings(estimator="centred")
    monkeypatch.setitem(ESTIMATORS, "centred", Estimator(centred, min_samples=1, max_epochs=2))
    settings = ReinforceSettings(
        estimator="centred", samples=1, prompts=2, steps=2, evaluations=1, learning_rate=1e-2
    )
    schema = ReinforceSettings.model_json_schema()["properties"]["estimator"]
    assert schema["enum"] == list(ESTIMATORS)
    with pytest.raises(RecipeError, match="epochs: expected at most 2 with centred, got 3"):
        settings.changed(epochs=3)

    student = tiny("t5-scaled")
    before = student.weights_digest()
    prompts = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1))]
    result = reinforce(
        student,
        len(prompts),
        Roller(prompts, 1, Decoding(max_new_tokens=6, temperature=1.0, seed=3)),
        lambda groups, step: [[Rewarded(float(len(r.target))) for r in g] for g in groups],
        settings,
        tmp_path / "run",
    )
    assert result.steps == len(steps) == 2 and student.weights_digest() != before


def test_settings_are_checked_against_the_estimators_without_torch():
    code = "import sys, smallsteps.training.settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
