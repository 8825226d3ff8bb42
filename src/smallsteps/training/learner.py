"""One step of reinforcement learning: from rollouts and rewards to updated weights.

    read       log-probabilities of what was written, by the student and by the frozen reference
    estimate   advantages and weights of the tokens (`estimators.py`)
    update     `epochs` times over all micro-batches: the policy loss (`policy.py`), one AdamW step

Which rollouts, which rewards and when to save is decided by `reinforce.py`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from smallsteps.students.batching import batch_overhead, batches_by_length
from smallsteps.students.student import Student
from smallsteps.training.batches import Encoded
from smallsteps.training.estimators import ESTIMATORS, Advantages, Step
from smallsteps.training.policy import Policy, PolicySums, Tokens, policy_loss
from smallsteps.training.rollouts import Rollout, batch_of, encode_rollout
from smallsteps.training.settings import ReinforceSettings


class Learned(NamedTuple):
    """What the updates of one step brought."""

    row: dict[str, float]
    """Figures for the curves, per token: loss, kl, entropy, ..."""
    stopped: str | None
    """Why training must end here; None: it goes on."""


@dataclass(frozen=True)
class ReadBatch:
    """Rollouts that go through the model together, and what was read of them before the updates."""

    places: list[int]
    """Place of each among all rollouts of the step."""
    rows: list[Encoded]
    old: Tensor
    """Log-probability of each written token under the student, float32 [tokens]."""
    reference: Tensor
    """The same under the frozen reference."""
    values: Tensor | None
    """Value of each token, with a value head."""

    @property
    def lengths(self) -> list[int]:
        """Written tokens of each rollout."""
        return [row.loss_tokens for row in self.rows]


class Learner:
    """The student, the frozen one that training began with, and the optimizer."""

    def __init__(
        self, student: Student, settings: ReinforceSettings, micro_batch_tokens: int
    ) -> None:
        """Puts the student into evaluation mode: dropout is off in rollouts and updates alike."""
        self.student, self.settings = student, settings
        self.micro_batch_tokens = micro_batch_tokens
        self.estimator = ESTIMATORS[settings.estimator]
        model: nn.Module = student.model
        model.eval()
        self.reference = Policy(deepcopy(model).requires_grad_(False))
        self.policy = Policy(model, with_values=self.estimator.value_head)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": self.trained, "lr": settings.learning_rate}]
        if self.policy.value is not None:
            value_parameters = list(self.policy.value.parameters())
            groups.append({"params": value_parameters, "lr": settings.value_learning_rate})
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        self.highest_rates = [group["lr"] for group in groups]

    def state(self) -> dict[str, Any]:
        """What a killed run goes on from, besides the student that it began with."""
        return {"policy": self.policy.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])

    def learn(
        self, groups: Sequence[Sequence[Rollout]], rewards: Sequence[Sequence[float]], step: int
    ) -> Learned:
        """All updates of step `step` (counted from 0) on its rollouts and their rewards."""
        rollouts = [rollout for group in groups for rollout in group]
        batches = self._read(rollouts)
        tokens = self._estimate(batches, rewards)
        row = _engine_gap(batches, rollouts)
        for epoch in range(self.settings.epochs):
            sums, norm = self._gradient(batches, tokens)
            loss = float(sums.loss)
            if not torch.isfinite(sums.loss) or not torch.isfinite(norm):
                return Learned(
                    row,
                    f"diverged: the loss is {loss}. "
                    f"Lower learning_rate ({self.settings.learning_rate}).",
                )
            self._apply(step)
            row |= self._figures(sums, float(norm), sum(len(batch.old) for batch in batches), epoch)
        if row["kl"] > self.settings.kl_limit:
            return Learned(
                row,
                f"kl: the student is {row['kl']:.2f} nats per token away from where it started, "
                f"more than {self.settings.kl_limit:g}. Raise kl ({self.settings.kl}) or lower "
                f"learning_rate ({self.settings.learning_rate}).",
            )
        return Learned(row, None)

    # ---- before the updates ----

    def _read(self, rollouts: Sequence[Rollout]) -> list[ReadBatch]:
        """Micro-batches of rollouts of like length. Rollouts without a token are left out."""
        written = [place for place, rollout in enumerate(rollouts) if rollout.target]
        rows = [encode_rollout(rollouts[place], self.student) for place in written]
        sizes = [(len(row.source), len(row.target)) for row in rows]
        overhead = batch_overhead(self.student.device.type)
        batches = []
        with torch.no_grad():
            for indices in batches_by_length(sizes, self.micro_batch_tokens, overhead=overhead):
                batch_rows = [rows[index] for index in indices]
                batch = batch_of(batch_rows, self.student)
                old, values = self.policy(batch)
                reference, _ = self.reference(batch)
                places = [written[index] for index in indices]
                batches.append(ReadBatch(places, batch_rows, old, reference, values))
        return batches

    def _estimate(
        self, batches: Sequence[ReadBatch], rewards: Sequence[Sequence[float]]
    ) -> list[Tokens]:
        """What the loss needs of each batch's tokens."""
        table = torch.tensor(rewards, dtype=torch.float64)
        log_ratios = torch.zeros(table.numel())
        values: list[Tensor] = []
        for batch in batches:
            differences = (batch.old - batch.reference).split(batch.lengths)
            log_ratios[batch.places] = torch.stack([d.sum() for d in differences]).float().cpu()
            if batch.values is not None:
                values += batch.values.split(batch.lengths)
        step = Step(
            rewards=table,
            log_ratios=log_ratios.view_as(table),
            places=torch.tensor([place for batch in batches for place in batch.places]),
            lengths=torch.tensor([length for batch in batches for length in batch.lengths]),
            values=tuple(values),
        )
        estimated = self.estimator.estimate(step, self.settings)
        return _split(estimated, batches)

    # ---- the updates ----

    def _gradient(
        self, batches: Sequence[ReadBatch], tokens: Sequence[Tokens]
    ) -> tuple[PolicySums, Tensor]:
        """Accumulate the gradient over all batches. Returns the sums and the gradient's norm before
        clipping."""
        settings = self.settings
        self.optimizer.zero_grad()
        sums = PolicySums(*(torch.zeros(()) for _ in PolicySums._fields))
        for batch, batch_tokens in zip(batches, tokens, strict=True):
            logprobs, values = self.policy(batch_of(batch.rows, self.student))
            batch_sums = policy_loss(
                logprobs,
                batch_tokens,
                clip=settings.clip,
                kl=settings.kl if self.estimator.kl_penalty else 0.0,
                values=values,
                value_weight=settings.value_weight,
            )
            batch_sums.loss.backward()
            sums = sums.plus(batch_sums)
        limit = settings.max_grad_norm or float("inf")
        return sums, torch.nn.utils.clip_grad_norm_(self.trained, limit)

    def _apply(self, step: int) -> None:
        """One AdamW step; over the first steps the learning rate rises."""
        rise = min(1.0, (step + 1) / max(1, self.settings.warmup_steps))
        for group, rate in zip(self.optimizer.param_groups, self.highest_rates, strict=True):
            group["lr"] = rate * rise
        self.optimizer.step()

    def _figures(self, sums: PolicySums, norm: float, tokens: int, epoch: int) -> dict[str, float]:
        """Of one update, means per token. The first update's figures stay, `ratio_off_last` and
        `clipped` are those of the last one."""
        figures = {}
        if epoch == 0:
            figures = {
                "loss": float(sums.loss),
                "kl": float(sums.kl) / tokens,
                "entropy": float(sums.entropy) / tokens,
                "grad_norm": norm,
                "ratio_off": float(sums.ratio) / tokens,
            }
        else:
            figures = {
                "ratio_off_last": float(sums.ratio) / tokens,
                "clipped": float(sums.clipped) / tokens,
            }
        if self.policy.value is not None:
            figures["value_error"] = float(sums.value) / tokens
        return figures


def _split(estimated: Advantages, batches: Sequence[ReadBatch]) -> list[Tokens]:
    """The estimate of all tokens, per batch, on its device."""
    sizes = [len(batch.old) for batch in batches]
    advantages = estimated.advantages.split(sizes)
    weights = estimated.weights.split(sizes)
    if estimated.returns is None:
        returns = [torch.zeros_like(batch.old) for batch in batches]
    else:
        returns = list(estimated.returns.split(sizes))
    return [
        Tokens(
            old=batch.old,
            reference=batch.reference,
            advantages=advantages[number].to(batch.old),
            weights=weights[number].to(batch.old),
            returns=returns[number].to(batch.old),
        )
        for number, batch in enumerate(batches)
    ]


def _engine_gap(batches: Sequence[ReadBatch], rollouts: Sequence[Rollout]) -> dict[str, float]:
    """How far the engine's log-probabilities are from the student's, mean over tokens; empty where
    the engine gave none. Large values mean that the engine draws from another distribution than
    the one that is trained."""
    drawn = [
        logprob
        for batch in batches
        for place in batch.places
        for logprob in rollouts[place].logprobs
    ]
    if not drawn:
        return {}
    read = torch.cat([batch.old for batch in batches]).cpu()
    return {"engine_gap": float((torch.tensor(drawn) - read).abs().mean())}
