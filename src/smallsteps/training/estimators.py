"""Estimators of reinforcement learning: how the rewards of a step become advantages and weights.

    rloo    A_i = r_i - mean of the other rewards of the group       (Ahmadian et al. 2024)
    grpo    A_i = (r_i - mean of the group) / (deviation + 1e-4)     (Shao et al. 2024)
    ppo     generalised advantage estimation over tokens, with a value head
                                                                     (Schulman et al. 2016, 2017)
    raft    A = 1 for the best of the group                          (Dong et al. 2023)
    dpo     A = beta sigma(-m) for the best of the group, minus that for the worst
            m = beta (log pi(best) / pi_ref(best) - log pi(worst) / pi_ref(worst))
                                                                     (Rafailov et al. 2023)

All share the policy loss of `policy.py`. In the first update on fresh rollouts its gradient is that
of -sum of w A log pi: for raft the gradient of the likelihood, for dpo that of -log sigma(m),
exactly. To add an estimator, write one function and add one line to `ESTIMATORS`.

This module does not import torch, because settings are checked against `ESTIMATORS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Average = Literal["token", "sequence"]
"""What the loss is averaged over: all tokens, or the tokens of each rollout and then rollouts."""


class EstimatorOptions(Protocol):
    """The settings that estimators read; `ReinforceSettings` has them all."""

    @property
    def average(self) -> Average: ...

    @property
    def gamma(self) -> float: ...

    @property
    def decay(self) -> float: ...

    @property
    def dpo_beta(self) -> float: ...


class Step(NamedTuple):
    """What is known of the rollouts of one step. R rollouts were read; those without any token are
    not among them."""

    rewards: Tensor
    """float64 [groups, k]."""
    log_ratios: Tensor
    """float32 [groups, k]: log pi - log pi_ref of each rollout; 0 for rollouts without a token."""
    places: Tensor
    """int64 [R]: place of each read rollout in the flattened `rewards`, in order of reading."""
    lengths: Tensor
    """int64 [R]: tokens of each read rollout."""
    values: tuple[Tensor, ...] = ()
    """Estimators with `value_head`: the value before each token, float32 [tokens], per read
    rollout."""


class Advantages(NamedTuple):
    """What the loss needs per token, read rollouts one after another; [all tokens] each."""

    advantages: Tensor
    weights: Tensor
    """float32: factor of each token in the loss."""
    returns: Tensor | None = None
    """Targets of the value head; None: without one."""


@dataclass(frozen=True)
class Estimator:
    """An estimator and what it demands of the settings."""

    estimate: Callable[[Step, EstimatorOptions], Advantages]
    min_samples: int = 2
    """Minimum number of rollouts per prompt. 2 or more: it learns from differences within a group,
    so that equal rewards teach nothing."""
    max_epochs: int | None = None
    """Maximum number of updates on the same rollouts; None: any."""
    kl_penalty: bool = True
    """Whether the loss has the KL term."""
    value_head: bool = False
    """Whether a value head is trained beside the student."""


# ---- advantages ----


def rloo(rewards: Tensor) -> Tensor:
    """Each reward less the mean of the others of its group; sums to 0 in each group.

    rewards: [groups, k] with k >= 2.

    >>> import torch
    >>> rloo(torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([[ 1.0000, -0.5000, -0.5000]])
    """
    k = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * k / (k - 1)


def grpo(rewards: Tensor) -> Tensor:
    """Each reward less the mean of its group, in standard deviations of the group. rewards:
    [groups, k] with k >= 2."""
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


def raft(rewards: Tensor) -> Tensor:
    """1 for the best of each group (the first of equals), 0 for the others. rewards: [groups, k].

    >>> import torch
    >>> raft(torch.tensor([[0.0, 2.0, 2.0]]))
    tensor([[0., 1., 0.]])
    """
    return rewards.new_zeros(rewards.shape).scatter_(1, rewards.argmax(1, keepdim=True), 1.0)


def dpo(rewards: Tensor, log_ratios: Tensor, beta: float) -> Tensor:
    """What raises the best of each group and lowers the worst, mean over pairs. A group of equal
    rewards is no pair.

    rewards, log_ratios (log pi - log pi_ref): [groups, k]. The result times the gradient of log pi
    is minus the gradient of DPO's loss."""
    worst = rewards.new_zeros(rewards.shape).scatter_(1, rewards.argmin(1, keepdim=True), 1.0)
    sign = raft(rewards) - worst
    margin = beta * (sign * log_ratios).sum(1, keepdim=True)
    pull = beta * (-margin).sigmoid()
    pairs = int(sign.abs().any(1).sum())
    return sign * pull / max(1, pairs)


def gae(values: Tensor, reward: float, gamma: float, decay: float) -> tuple[Tensor, Tensor]:
    """(advantages, returns) of the tokens of one rollout, [tokens] each. The reward comes with the
    last token.

    delta_t = r_t + gamma V_t+1 - V_t;  A_t = sum over l of (gamma decay)^l delta_t+l
    returns = A + V"""
    following = values.roll(-1)
    following[-1] = 0.0
    deltas = gamma * following - values
    deltas[-1] += reward
    advantages = values.new_zeros(values.shape)
    running = values.new_zeros(())
    for t in range(len(values) - 1, -1, -1):
        running = deltas[t] + gamma * decay * running
        advantages[t] = running
    return advantages, advantages + values


def whitened(values: Tensor) -> Tensor:
    """`values` with mean 0 and standard deviation 1; a single value becomes 0."""
    return (values - values.mean()) / (values.std(correction=0) + 1e-8)


def token_weights(lengths: Tensor, average: Average, counted: Tensor | None = None) -> Tensor:
    """float32 [all tokens]: the factor of each token in a mean over tokens, or over rollouts.

    lengths: int64 [rollouts], each 1 or more. counted: bool [rollouts], which have any weight;
    None: all. The weights sum to 1, or are all 0 where nothing is counted."""
    flags = lengths.new_ones(lengths.shape).bool() if counted is None else counted
    if average == "token":
        divisors = (lengths * flags).sum().expand(lengths.shape)
    else:
        divisors = lengths * flags.sum()
    weights = flags.double() / divisors.clamp(min=1).double()
    return weights.float().repeat_interleave(lengths)


# ---- from a step to advantages ----


def _per_token(step: Step, table: Tensor) -> Tensor:
    """A figure per rollout, [groups, k], as one per token."""
    return table.flatten()[step.places].repeat_interleave(step.lengths)


def _rloo(step: Step, options: EstimatorOptions) -> Advantages:
    weights = token_weights(step.lengths, options.average)
    return Advantages(_per_token(step, rloo(step.rewards)), weights)


def _grpo(step: Step, options: EstimatorOptions) -> Advantages:
    weights = token_weights(step.lengths, options.average)
    return Advantages(_per_token(step, grpo(step.rewards)), weights)


def _raft(step: Step, options: EstimatorOptions) -> Advantages:
    best = raft(step.rewards)
    counted = best.flatten()[step.places].bool()
    return Advantages(_per_token(step, best), token_weights(step.lengths, options.average, counted))


def _dpo(step: Step, options: EstimatorOptions) -> Advantages:
    advantages = _per_token(step, dpo(step.rewards, step.log_ratios, options.dpo_beta))
    # these are divided by the number of pairs already
    return Advantages(advantages, advantages.new_ones(advantages.shape).float())


def _ppo(step: Step, options: EstimatorOptions) -> Advantages:
    import torch

    rewards = step.rewards.flatten()[step.places].tolist()
    estimates = [
        gae(values, reward, options.gamma, options.decay)
        for values, reward in zip(step.values, rewards, strict=True)
    ]
    advantages = torch.cat([advantages for advantages, _ in estimates])
    returns = torch.cat([returns for _, returns in estimates])
    weights = token_weights(step.lengths, options.average)
    return Advantages(whitened(advantages), weights, returns)


ESTIMATORS: dict[str, Estimator] = {
    "rloo": Estimator(_rloo),
    "grpo": Estimator(_grpo),
    "ppo": Estimator(_ppo, min_samples=1, value_head=True),
    "raft": Estimator(_raft, max_epochs=1, kl_penalty=False),
    "dpo": Estimator(_dpo, max_epochs=1, kl_penalty=False),
}
"""Name in a recipe → estimator."""
