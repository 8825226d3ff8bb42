"""The parts of reinforcement learning on rationales: advantages, and one clipped policy loss for
both architectures.

A rollout is a rationale that the student wrote, with its reward. Rollouts of the same prompt are a
group; what stands in a group is compared with the rest of it.

    rloo    A_i = r_i - mean of the other rewards of the group                                  (Ahmadian et al. 2024)
    grpo    A_i = (r_i - mean of the group) / (standard deviation of the group + 1e-4)          (Shao et al. 2024)
    ppo     generalised advantage estimation over tokens with a value head                      (Schulman et al. 2016, 2017)
    raft    A = 1 for the best of the group, nothing for the others: its likelihood is raised   (Dong et al. 2023)
    dpo     A = beta sigma(-m) for the best, -beta sigma(-m) for the worst of the group         (Rafailov et al. 2023)
            m = beta (log pi(best) / pi_ref(best) - log pi(worst) / pi_ref(worst))

    loss = sum over tokens t of w_t * (max(-rho A, -clip(rho, 1 - eps, 1 + eps) A) + beta * KL_t)
    rho  = pi(t) / pi_old(t),   KL_t = pi_ref(t) / pi(t) - log(pi_ref(t) / pi(t)) - 1 >= 0      (Schulman 2020, "k3")

w_t is 1 / (all tokens of the update) or, by sequence, 1 / (rollouts x tokens of its own); of raft, over what was best; of
dpo 1 / pairs. rho is 1 in the first update on fresh rollouts, where the gradient of the loss is therefore that of
-sum of w A log pi: of raft the gradient of the likelihood, of dpo that of -log sigma(m), exactly. Logits at decoder position t
predict label t: there is no further shift. Dropout is off in rollouts and here, so that rho is 1 and KL 0 at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from smallsteps.students.lm_head import HEAD_ELEMENTS, token_log_probs
from smallsteps.students.student import Student
from smallsteps.training.batches import Batch, Encoded, collate
from smallsteps.training.losses import counted_states
from smallsteps.training.settings import Average


@dataclass(frozen=True)
class Rollout:
    """What a student wrote for a prompt."""

    prompt: str
    """Id of the prompt: its group."""
    sample: int
    source: tuple[int, ...]
    """Ids that were read."""
    target: tuple[int, ...]
    """Ids that were written, the end included where it was written."""
    text: str
    finished: bool
    """Whether the student ended it itself."""
    logprobs: tuple[float, ...] = ()
    """Of each token when it was drawn."""


def encoded(rollout: Rollout, student: Student) -> Encoded:
    """The rollout as a row of a batch: every written token counts."""
    count = len(rollout.target)
    if student.architecture == "encoder-decoder":
        return Encoded(rollout.source, rollout.target, (True,) * count, (rollout.prompt,))
    counted = (False,) * len(rollout.source) + (True,) * count
    return Encoded((), (*rollout.source, *rollout.target), counted, (rollout.prompt,))


# ---- advantages ----


def rloo(rewards: Tensor) -> Tensor:
    """Each reward less the mean of the others. rewards: [groups, k], k >= 2; the result sums to 0
    in each group.

    >>> rloo(torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([[ 1.0000, -0.5000, -0.5000]])
    """
    k = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * k / (k - 1)


def grpo(rewards: Tensor) -> Tensor:
    """Each reward less the mean of its group, in standard deviations of the group. rewards:
    [groups, k]."""
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


def raft(rewards: Tensor) -> Tensor:
    """1 for the best of each group (the first of equals), 0 for the others. rewards: [groups,
    k]."""
    return nn.functional.one_hot(rewards.argmax(1), rewards.shape[1]).to(rewards)


def dpo(rewards: Tensor, apart: Tensor, beta: float) -> Tensor:
    """What raises the best of each group and lowers the worst, mean over pairs; groups of equal
    rewards are no pair.

    rewards: [groups, k]. apart: log pi - log pi_ref of each rollout, [groups, k]. The result, times
    the gradient of log pi, is the gradient of DPO's loss with its sign turned."""
    best, worst = (
        nn.functional.one_hot(place, rewards.shape[1])
        for place in (rewards.argmax(1), rewards.argmin(1))
    )
    sign = (best - worst).to(rewards)
    pull = beta * torch.sigmoid(-beta * (sign * apart).sum(1, keepdim=True))
    pairs = int(sign.abs().any(1).sum())
    return sign * pull / max(1, pairs)


def gae(
    values: Tensor, reward: float, gamma: float = 1.0, decay: float = 0.95
) -> tuple[Tensor, Tensor]:
    """(advantages, returns) of one rollout's tokens, [tokens] each; `reward` comes with the last
    one.

    delta_t = r_t + gamma V_t+1 - V_t;  A_t = sum over l of (gamma decay)^l delta_t+l;  returns = A + V
    """
    following = torch.cat([values[1:], values.new_zeros(1)])
    deltas = gamma * following - values
    deltas[-1] += reward
    advantages = torch.zeros_like(values)
    running = values.new_zeros(())
    for t in range(len(values) - 1, -1, -1):
        running = deltas[t] + gamma * decay * running
        advantages[t] = running
    return advantages, advantages + values


def whitened(values: Tensor) -> Tensor:
    """With mean 0 and standard deviation 1; a single value becomes 0."""
    return (values - values.mean()) / (values.std(correction=0) + 1e-8)


# ---- the loss ----


class Tokens(NamedTuple):
    """What is known of each written token of some rollouts, one rollout after another; float32
    [tokens] each."""

    old: Tensor
    """Log-probability under the student that wrote it."""
    reference: Tensor
    """Log-probability under the distilled, frozen student."""
    advantages: Tensor
    weights: Tensor
    """w_t."""
    returns: Tensor
    """What the value head is to say (ppo only)."""


class PolicySums(NamedTuple):
    """Sums over tokens, float32 scalars; all but `loss` detached."""

    loss: Tensor
    """Weighted: what is minimised."""
    kl: Tensor
    clipped: Tensor
    """Tokens whose ratio was clipped."""
    ratio: Tensor
    """Sum of |rho - 1|."""
    entropy: Tensor
    """Sum of -log pi of what was written."""
    value: Tensor
    """Sum of squared errors of the value head."""


def policy_loss(
    logprobs: Tensor,
    tokens: Tokens,
    *,
    clip: float,
    kl: float,
    values: Tensor | None = None,
    value_weight: float = 0.5,
) -> PolicySums:
    """The loss of some tokens. logprobs, values: [tokens]."""
    ratio = torch.exp(logprobs - tokens.old)
    clamped = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.maximum(-ratio * tokens.advantages, -clamped * tokens.advantages)
    apart = tokens.reference - logprobs
    divergence = torch.exp(apart) - apart - 1
    per_token = surrogate + kl * divergence
    errors = torch.zeros_like(logprobs) if values is None else (values - tokens.returns) ** 2
    loss = tokens.weights @ (per_token + value_weight * errors)
    with torch.no_grad():
        was_clipped = (-clamped * tokens.advantages > -ratio * tokens.advantages).sum()
        off = (ratio - 1).abs().sum()
    return PolicySums(
        loss,
        divergence.detach().sum(),
        was_clipped.float(),
        off,
        -logprobs.detach().sum(),
        errors.detach().sum(),
    )


def token_weights(
    lengths: Sequence[int], average: Average, counted: Sequence[bool] | None = None
) -> Tensor:
    """w_t of the tokens of rollouts of these lengths; they sum to 1. `counted`: which rollouts have
    any (None: all)."""
    own = [True] * len(lengths) if counted is None else list(counted)
    rollouts = max(1, sum(own))
    total = max(1, sum(length for length, one in zip(lengths, own, strict=True) if one))
    return torch.cat(
        [
            torch.full((length,), one / (total if average == "token" else length * rollouts))
            for length, one in zip(lengths, own, strict=True)
        ]
    )


class Policy(nn.Module):
    """A student with, for ppo, a value head. forward(batch) → (log-probability, value) of each
    counted token.

    The value head reads the hidden state before the token and leaves the student's weights alone.
    """

    def __init__(
        self, model: nn.Module, with_values: bool = False, head_elements: int = HEAD_ELEMENTS
    ) -> None:
        super().__init__()
        self.model = model
        self.head_elements = head_elements
        self.value: nn.Linear | None = None
        if with_values:
            embeddings = model.get_input_embeddings()  # type: ignore[operator]
            width = embeddings.weight.shape[1]
            self.value = nn.Linear(width, 1).to(embeddings.weight)
            nn.init.zeros_(self.value.weight)
            nn.init.zeros_(self.value.bias)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        hidden, head = counted_states(self.model, batch)
        logprobs = token_log_probs(hidden, head, batch.labels, self.head_elements)
        return logprobs, None if self.value is None else self.value(hidden.detach()).squeeze(
            -1
        ).float()


def batch_of(rollouts: Sequence[Rollout], student: Student) -> Batch:
    """Tensors of the rollouts; log-probabilities of it come one rollout after another."""
    start = student.start_id if student.architecture == "encoder-decoder" else None
    return collate([encoded(one, student) for one in rollouts], start).to(student.device)
