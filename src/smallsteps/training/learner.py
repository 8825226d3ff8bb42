"""One step of reinforcement learning: from rollouts and rewards to updated weights.

    read       log-probabilities of what was written, by the student and by the frozen reference
    estimate   advantages and weights of the tokens (`estimators.py`)
    update     `epochs` times over all micro-batches: the policy loss (`policy.py`), one AdamW step

Several processes share the rollouts of a step, and with FSDP in accelerate's config the weights of
student and reference too (`sharding.py`). Which rollouts, which rewards and when to save is decided
by `reinforce.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from smallsteps import team
from smallsteps.students.student import Student
from smallsteps.training.accelerate_config import dtype_of_launch, sharding_of_launch
from smallsteps.training.batches import level, micro_batches, share
from smallsteps.training.estimators import ESTIMATORS, Step
from smallsteps.training.memory import MicroBatchSize, fitting_tokens
from smallsteps.training.policy import Policy, PolicySums, policy_loss
from smallsteps.training.processes import least, place_in_launch, sum_over_processes
from smallsteps.training.rollout_batches import (
    NOWHERE,
    LearnBatches,
    ReadBatch,
    WrittenRow,
    estimated_batches,
    known_of,
)
from smallsteps.training.rollouts import Rollout, batch_of, encode_rollout
from smallsteps.training.settings import ReinforceSettings
from smallsteps.training.sharding import (
    Shards,
    load_optimizer_state,
    shard_module,
    start_alike,
    whole_optimizer_state,
    whole_weights,
)

Value = TypeVar("Value")

MORE_ROOM = "let it write less (max_new_tokens), or take a smaller student"
"""What helps where memory does not suffice for one rollout."""


class Learned(NamedTuple):
    """What the updates of one step brought."""

    row: dict[str, float]
    """Figures for the curves, per token: loss, kl, entropy, ..."""
    stopped: str | None
    """Why training must end here; None: it goes on."""


class _Work(NamedTuple):
    """Where a learner is."""

    step: int
    """Counted from 0."""
    longest: int
    """Tokens of the longest rollout, in all processes."""


class Learner:
    """The student, the frozen one that training began with, and the optimizer."""

    def __init__(
        self, student: Student, settings: ReinforceSettings, micro_batch_tokens: int | None
    ) -> None:
        """Puts the student into evaluation mode: dropout is off in rollouts and updates alike.
        micro_batch_tokens: None: what the device holds; they become fewer where memory runs out."""
        self.student, self.settings = student, settings
        self.estimator = ESTIMATORS[settings.estimator]
        self.rank, self.world = place_in_launch()
        sharding = sharding_of_launch()
        dtype = torch.bfloat16 if dtype_of_launch() == "bfloat16" else torch.float32
        model: nn.Module = student.model
        model.eval()
        start_alike(model)
        self.reference = Policy(deepcopy(model).requires_grad_(False), dtype=dtype)
        self.plain = Policy(model, with_values=self.estimator.value_head, dtype=dtype)
        """With the student's model, whose weights are elsewhere where they are in shards."""
        self.shards = Shards(self.plain) if sharding else None
        self.policy: Any = self.plain
        """What is trained."""
        if micro_batch_tokens is None:
            fitting = fitting_tokens(student, self.plain, student.device)
            micro_batch_tokens = least(fitting, student.device)
        self.size = MicroBatchSize(micro_batch_tokens, MORE_ROOM)
        if self.shards and sharding:
            self.policy = self.shards.twin
            self.shards.split(self.policy, sharding, dtype)
            shard_module(self.reference, sharding, dtype)
        self.trained = [p for p in self.policy.model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": self.trained, "lr": settings.learning_rate}]
        if self.policy.value is not None:
            value_parameters = list(self.policy.value.parameters())
            groups.append({"params": value_parameters, "lr": settings.value_learning_rate})
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        self.highest_rates = [group["lr"] for group in groups]

    def state(self) -> dict[str, Any]:
        """What a killed run goes on from, besides the student that it began with; what the first
        process gets is complete. To be asked for within `whole_weights`, by all processes."""
        optimizer = whole_optimizer_state(self.optimizer)
        return {"policy": self.plain.state_dict(), "optimizer": optimizer}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`, in as many processes as there are now."""
        with whole_weights(self.plain):
            self.plain.load_state_dict(state["policy"])
            if self.shards:
                self.shards.take()
        load_optimizer_state(self.optimizer, state["optimizer"])

    def end(self) -> None:
        """The student has its whole weights again."""
        if self.shards:
            self.shards.join()

    def learn(
        self, groups: Sequence[Sequence[Rollout]], rewards: Sequence[Sequence[float]], step: int
    ) -> Learned:
        """All updates of step `step` (counted from 0) on its rollouts and their rewards.

        Raises TrainingError if memory does not suffice for a single rollout."""
        rollouts = [rollout for group in groups for rollout in group]
        written = [
            WrittenRow(encode_rollout(rollout, self.student), place)
            for place, rollout in enumerate(rollouts)
            if rollout.target
        ]
        before = self.size.tokens
        work = _Work(step, max((row.encoded.tokens for row in written), default=0))
        batches = self._fitting(work, lambda: self._read(written))
        learnt = self._estimate(batches, rewards)
        row = self._engine_gap(batches, rollouts)
        count = sum(len(rollout.target) for rollout in rollouts)
        for epoch in range(self.settings.epochs):
            sums, norm = self._gradient(work, learnt)
            loss = float(sums.loss)
            if not torch.isfinite(sums.loss) or not torch.isfinite(norm):
                return Learned(
                    row,
                    f"diverged: the loss is {loss}. "
                    f"Lower learning_rate ({self.settings.learning_rate}).",
                )
            self._apply(step)
            row |= self._figures(sums, float(norm), count, epoch)
        if self.size.tokens < before:
            row["micro_batch_tokens"] = self.size.tokens
        if row["kl"] > self.settings.kl_limit:
            return Learned(
                row,
                f"kl: the student is {row['kl']:.2f} nats per token away from where it started, "
                f"more than {self.settings.kl_limit:g}. Raise kl ({self.settings.kl}) or lower "
                f"learning_rate ({self.settings.learning_rate}).",
            )
        return Learned(row, None)

    def _fitting(self, work: _Work, attempt: Callable[[], Value]) -> Value:
        """What `attempt` returns, with micro-batches that the memory holds."""
        place = f"step {work.step + 1}" if self.shards else None
        return self.size.fitting(attempt, work.longest, self.student.device, place)

    # ---- before the updates ----

    def _read(self, written: Sequence[WrittenRow]) -> list[ReadBatch]:
        """This process's micro-batches of rollouts of like length."""
        batches = []
        with torch.no_grad():
            for chosen in self._passes(written):
                rows = [row.encoded for row in chosen]
                batch = batch_of(rows, self.student)
                old, values = self.policy(batch)
                reference, _ = self.reference(batch)
                places = [row.place for row in chosen]
                batches.append(ReadBatch(places, rows, old, reference, values))
        return batches

    def _passes(self, written: Sequence[WrittenRow]) -> list[list[WrittenRow]]:
        """Rows of each pass that this process makes; the passes of those that share weights are
        equally many, and where it has nothing to do in one, its row has the place `NOWHERE`."""
        device_type = self.student.device.type
        shares = [share(written, rank, self.world) for rank in range(self.world)]
        if self.world == 1:
            shares = [list(written)]
        batches = [micro_batches(rows, self.size.tokens, device_type) for rows in shares]
        count = max(map(len, batches)) if self.shards else len(batches[self.rank])
        shortest = min(written, key=lambda row: row.encoded.tokens, default=None)
        spare = None if shortest is None else WrittenRow(shortest.encoded, NOWHERE)
        return [rows for rows, _ in level(batches[self.rank], count, spare)]

    def _estimate(
        self, batches: Sequence[ReadBatch], rewards: Sequence[Sequence[float]]
    ) -> LearnBatches:
        """The batches with what the loss needs of their tokens: estimated from the rollouts of all
        processes."""
        table = torch.tensor(rewards, dtype=torch.float64)
        log_ratios = torch.zeros(table.numel())
        read = team.from_all(
            [known for batch in batches if batch.counts for known in known_of(batch)]
        )
        every = [known for of_process in read for known in of_process]
        for known in every:
            log_ratios[known.place] = known.log_ratio
        step = Step(
            rewards=table,
            log_ratios=log_ratios.view_as(table),
            places=torch.tensor([known.place for known in every]),
            lengths=torch.tensor([known.length for known in every]),
            values=tuple(known.values for known in every if known.values is not None),
        )
        estimated = self.estimator.estimate(step, self.settings)
        before = sum(known.length for of_process in read[: self.rank] for known in of_process)
        return LearnBatches(estimated_batches(estimated, before, batches), self.size.tokens)

    # ---- the updates ----

    def _gradient(self, work: _Work, learnt: LearnBatches) -> tuple[PolicySums, Tensor]:
        """The gradient over all batches of all processes. Returns the sums and the gradient's norm
        before clipping."""
        sums = self._fitting(work, lambda: self._accumulate(learnt))
        summed = torch.stack(sums).to(self.student.device)
        sum_over_processes([summed, *([] if self.shards else self._gradients())])
        limit = self.settings.max_grad_norm or float("inf")
        norm: Any = torch.nn.utils.clip_grad_norm_(self.trained, limit)
        return PolicySums(*summed.cpu()), norm.full_tensor() if self.shards else norm

    def _accumulate(self, learnt: LearnBatches) -> PolicySums:
        """Forward and backward of this process's rollouts, in micro-batches of the size of now."""
        settings = self.settings
        self.optimizer.zero_grad()
        sums = PolicySums(*(torch.zeros(()) for _ in PolicySums._fields))
        for batch in learnt.within(self.size.tokens, self.student.device.type).batches:
            logprobs, values = self.policy(batch_of(batch.rows, self.student))
            batch_sums = policy_loss(
                logprobs,
                batch.tokens,
                clip=settings.clip,
                kl=settings.kl if self.estimator.kl_penalty else 0.0,
                values=values,
                value_weight=settings.value_weight,
            )
            if batch.counts:
                batch_sums.loss.backward()
                sums = sums.plus(batch_sums)
            else:
                (0.0 * batch_sums.loss).backward()
        return sums

    def _gradients(self) -> list[Tensor]:
        """Of all weights; 0 where this process had nothing that reaches one."""
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        if self.world > 1:
            for weight in weights:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        return [weight.grad for weight in weights if weight.grad is not None]

    def _apply(self, step: int) -> None:
        """One AdamW step; over the first steps the learning rate rises."""
        rise = min(1.0, (step + 1) / max(1, self.settings.warmup_steps))
        for group, rate in zip(self.optimizer.param_groups, self.highest_rates, strict=True):
            group["lr"] = rate * rise
        self.optimizer.step()

    def _engine_gap(
        self, batches: Sequence[ReadBatch], rollouts: Sequence[Rollout]
    ) -> dict[str, float]:
        """How far the engine's log-probabilities are from the student's, mean over tokens; empty
        where the engine gave none. Large values mean that the engine draws from another
        distribution than the one that is trained."""
        counted = [batch for batch in batches if batch.counts]
        drawn = [
            logprob
            for batch in counted
            for place in batch.places
            for logprob in rollouts[place].logprobs
        ]
        gaps = torch.zeros(0)
        if drawn:
            gaps = (torch.tensor(drawn) - torch.cat([batch.old for batch in counted]).cpu()).abs()
        read = team.from_all(gaps)
        gaps = torch.cat(read)
        return {"engine_gap": float(gaps.mean())} if len(gaps) else {}

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
