"""The policy of reinforcement learning: log-probabilities of what a student wrote, and one clipped
loss for both architectures and all estimators.

    loss = sum over tokens t of w_t * (max(-rho A, -clip(rho, 1 - eps, 1 + eps) A) + beta * KL_t)
    rho  = pi(t) / pi_old(t)
    KL_t = pi_ref(t) / pi(t) - log(pi_ref(t) / pi(t)) - 1 >= 0          (Schulman 2020, "k3")

A and w_t come from the estimator (`estimators.py`). Logits at decoder position t predict label t:
there is no further shift. Dropout is off in rollouts and here, so that rho is 1 and KL is 0 in the
first update on fresh rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from smallsteps.students.lm_head import HEAD_ELEMENTS, token_log_probs
from smallsteps.students.student import Student
from smallsteps.training.batches import Batch
from smallsteps.training.losses import counted_states
from smallsteps.training.rollouts import batch_of, encode_written


class Policy(nn.Module):
    """A student, with a value head if the estimator needs one.

    forward(batch) → (log-probability, value) of each counted token, float32 [counted] each; value
    is None without a value head. The value head reads the hidden state before the token, without a
    gradient into the student."""

    def __init__(
        self,
        model: nn.Module,
        with_values: bool = False,
        head_elements: int = HEAD_ELEMENTS,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """dtype: of the arithmetic; float32: that of the weights."""
        super().__init__()
        self.model = model
        self.head_elements = head_elements
        self.dtype = dtype
        self.value: nn.Linear | None = None
        if with_values:
            embeddings = model.get_input_embeddings()  # type: ignore[operator]
            width = embeddings.weight.shape[1]
            self.value = nn.Linear(width, 1).to(embeddings.weight)
            nn.init.zeros_(self.value.weight)
            nn.init.zeros_(self.value.bias)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        device_type = batch.inputs.device.type
        with torch.autocast(device_type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            hidden, head = counted_states(self.model, batch)
            logprobs = token_log_probs(hidden, head, batch.labels, self.head_elements)
            if self.value is None:
                return logprobs, None
            return logprobs, self.value(hidden.detach()).squeeze(-1).float()


class Tokens(NamedTuple):
    """What is fixed of the written tokens of some rollouts, rollouts one after another; float32
    [tokens] each."""

    old: Tensor
    """Log-probability under the student that wrote them."""
    reference: Tensor
    """Log-probability under the frozen student that training began with."""
    advantages: Tensor
    weights: Tensor
    """w_t."""
    returns: Tensor
    """Targets of the value head; 0 without one."""


class PolicySums(NamedTuple):
    """Sums over tokens, float32 scalars."""

    loss: Tensor
    """Weighted: what is minimised. The only one with a gradient."""
    kl: Tensor
    clipped: Tensor
    """Number of tokens whose ratio was clipped."""
    ratio: Tensor
    """Of |rho - 1|."""
    entropy: Tensor
    """Of -log pi of the written tokens."""
    value: Tensor
    """Of squared errors of the value head."""

    def plus(self, other: PolicySums) -> PolicySums:
        """The sums over the tokens of both, on the CPU, without gradients."""
        return PolicySums(
            *(
                mine.detach().float().cpu() + theirs.detach().float().cpu()
                for mine, theirs in zip(self, other, strict=True)
            )
        )


def policy_loss(
    logprobs: Tensor,
    tokens: Tokens,
    *,
    clip: float,
    kl: float,
    values: Tensor | None = None,
    value_weight: float = 0.5,
) -> PolicySums:
    """The loss of some tokens, and figures of it. logprobs, values: [tokens]; clip: epsilon; kl:
    beta."""
    ratio = torch.exp(logprobs - tokens.old)
    clamped = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.maximum(-ratio * tokens.advantages, -clamped * tokens.advantages)
    log_ratio = tokens.reference - logprobs
    divergence = torch.exp(log_ratio) - log_ratio - 1
    errors = torch.zeros_like(logprobs) if values is None else (values - tokens.returns) ** 2
    loss = tokens.weights @ (surrogate + kl * divergence + value_weight * errors)
    with torch.no_grad():
        was_clipped = -clamped * tokens.advantages > -ratio * tokens.advantages
        return PolicySums(
            loss=loss,
            kl=divergence.sum(),
            clipped=was_clipped.sum().float(),
            ratio=(ratio - 1).abs().sum(),
            entropy=-logprobs.sum(),
            value=errors.sum(),
        )


def target_log_probs(
    student: Student, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int = 32
) -> list[float]:
    """Log-probability (nats) of each target after its source, given as (source ids, target ids).

    Puts the model into evaluation mode."""
    policy = Policy(student.model.eval())
    totals: list[float] = []
    with torch.no_grad():
        for start in range(0, len(pairs), batch_size):
            part = pairs[start : start + batch_size]
            rows = [encode_written(source, target, student) for source, target in part]
            logprobs, _ = policy(batch_of(rows, student))
            lengths = [len(target) for _, target in part]
            totals += [float(values.sum()) for values in logprobs.split(lengths)]
    return totals
