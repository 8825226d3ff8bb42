"""Reinforcement learning of a student on rewards of what it writes: one loop for RLOO, GRPO and
PPO, and for RAFT and DPO on the same rollouts.

    for each step:   rollouts (k of each prompt)  →  rewards  →  advantages  →  `epochs` updates of the policy loss

No kept library trains encoder-decoders this way, so the loop is ours; rollouts come from the caller
(the local engine), rewards too. A step is a function of the weights and its number, so that a
killed run goes on from its last saved state and ends with the same weights (CPU). Three things end
a run early, by name and with the state saved: `no-signal` (all rewards of all groups equal, for
many steps), `kl` (the student has run away from the one it started from) and `diverged` (the loss
is no number)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smallsteps.students.student import Student
from smallsteps.training.batches import micro_batches
from smallsteps.training.checkpoints import (
    CURVES,
    RESULT,
    Curves,
    Selection,
    claim,
    complete,
    discard,
    finish,
    is_finished,
    latest_checkpoint,
    read_curves,
    repair,
    tidy,
)
from smallsteps.training.policy import (
    Policy,
    Rollout,
    Tokens,
    batch_of,
    dpo,
    encoded,
    gae,
    grpo,
    policy_loss,
    raft,
    rloo,
    token_weights,
    whitened,
)
from smallsteps.training.settings import ReinforceSettings

Roll = Callable[[Student, int, Sequence[int]], Sequence[Sequence[Rollout]]]
"""(student, step, numbers of prompts) → a group of rollouts for each; a function of its
arguments."""
Reward = Callable[[Sequence[Sequence[Rollout]], int], Sequence[Sequence["Rewarded"]]]
"""(groups, step) → the reward of each rollout."""
Measure = Callable[[Student], float]
Progress = Callable[[int, int, Mapping[str, float]], None]

STATE = "state.pt"


@dataclass(frozen=True)
class Rewarded:
    """A reward, and what it is made of (for the curves)."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, float] = field(default_factory=dict)
    """What the value is the sum of; empty: not told."""


@dataclass(frozen=True)
class Reinforced:
    """What reinforcement learning brought."""

    folder: Path
    """The best student by the measure, a Hugging Face folder: after some step, or the one before
    the first step (update 0). Without a measure the last one."""
    best: Selection
    start: float | None
    """The measure of the student before the first step."""
    steps: int
    stopped: str | None
    """Why it ended before its last step."""
    curves: list[dict[str, Any]]


def reinforce(
    student: Student,
    prompts: int,
    roll: Roll,
    reward: Reward,
    settings: ReinforceSettings,
    out: Path | str,
    *,
    metric: Measure | None = None,
    progress: Progress | None = None,
    digest: str = "",
    say: Callable[[str], None] | None = None,
    seed: int = 0,
    micro_batch_tokens: int = 4096,
) -> Reinforced:
    """Trains `student` in place on rewards for what it writes for `prompts` prompts, numbered from
    0.

    Called again with the same arguments after a kill it goes on; on a finished folder it returns
    the result at once. `digest`: what else makes the run what it is (data, reward). Where files in
    `out` were damaged it tells `say` (by default as a warning) and starts again. `seed` decides the
    order of the prompts. `micro_batch_tokens` pass through the model at once: speed and memory, not
    the result. Raises RunFolderError where `out` is another run's."""
    out = Path(out)
    identity = json.dumps(
        [settings.model_dump(), seed, prompts, digest, student.weights_digest()], sort_keys=True
    )
    claim(out, hashlib.sha256(identity.encode()).hexdigest()[:16])
    repair(out, say)
    if is_finished(out):
        return finished(out)
    return _Loop(
        student, prompts, roll, reward, settings, out, metric, progress, seed, micro_batch_tokens
    ).run()


class _Loop:
    """A run under way."""

    def __init__(
        self,
        student: Student,
        prompts: int,
        roll: Roll,
        reward: Reward,
        settings: ReinforceSettings,
        out: Path,
        metric: Measure | None,
        progress: Progress | None,
        seed: int,
        micro_batch_tokens: int,
    ) -> None:
        self.seed, self.micro_batch_tokens = seed, micro_batch_tokens
        self.student, self.prompts, self.roll, self.reward = student, prompts, roll, reward
        self.settings, self.out, self.metric, self.progress = settings, out, metric, progress
        model: nn.Module = student.model
        model.eval()  # dropout off in rollouts and updates alike
        self.reference = deepcopy(model).requires_grad_(False)
        self.policy = Policy(model, with_values=settings.estimator == "ppo")
        trained = [p for p in model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": trained, "lr": settings.learning_rate}]
        if self.policy.value is not None:
            groups.append(
                {"params": list(self.policy.value.parameters()), "lr": settings.value_learning_rate}
            )
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        self.rates = [group["lr"] for group in groups]
        self.trained = trained
        self.step, self.dry = 0, 0
        self.best: Selection | None = None
        self.start: float | None = None
        self.stopped: str | None = None
        rows: list[dict[str, Any]] = []
        kept = latest_checkpoint(out)
        if kept is not None:
            rows = self._load(kept)
        tidy(
            out,
            [
                one
                for one in (kept.name if kept else "", self.best.folder if self.best else "")
                if one
            ],
        )
        self.curves = Curves(out / CURVES, rows)

    def run(self) -> Reinforced:
        settings = self.settings
        ends = {
            round(settings.steps * n / settings.evaluations)
            for n in range(1, settings.evaluations + 1)
        }
        if self.metric is not None and self.best is None:
            # where refinement brings nothing on validation, the student that it began with is kept
            self.start = self._measure()
            self._save()
        while self.step < settings.steps and self.stopped is None:
            began = perf_counter()
            row = self._step()
            self.step += 1
            row = {"update": self.step, **row, "seconds": round(perf_counter() - began, 3)}
            if self.step in ends or self.stopped is not None:
                self._evaluate(row)
            self.curves.add(row)
            if self.progress is not None:
                self.progress(
                    self.step,
                    settings.steps,
                    {k: v for k, v in row.items() if isinstance(v, int | float)},
                )
            if "measured" in row:
                self._save()
        assert self.best is not None
        result = {
            "best": asdict(self.best),
            "start": self.start,
            "steps": self.step,
            "stopped": self.stopped,
        }
        finish(self.out, result, [self.best])
        tidy(self.out, [self.best.folder])
        return finished(self.out)

    # ---- one step ----

    def _step(self) -> dict[str, Any]:
        settings = self.settings
        groups = self.roll(self.student, self.step, self._chosen())
        began = perf_counter()
        rewarded = self.reward(groups, self.step)
        row: dict[str, Any] = {"reward_seconds": round(perf_counter() - began, 3)}
        rewards = [[one.value for one in group] for group in rewarded]
        spread = [max(group) - min(group) for group in rewards]
        row |= {
            "reward": fmean(value for group in rewards for value in group),
            "no_signal": fmean(float(one == 0) for one in spread),
            "length": fmean(len(one.target) for group in groups for one in group),
            "unfinished": fmean(float(not one.finished) for group in groups for one in group),
            **_parts(rewarded),
            **{
                f"share_{name}": value
                for name, value in shares(
                    [[one.terms for one in group] for group in rewarded]
                ).items()
            },
        }
        self.dry = self.dry + 1 if settings.estimator != "ppo" and not any(spread) else 0
        if self.dry >= settings.patience:
            self.stopped = (
                f"no-signal: for {self.dry} steps all rewards of a group were equal, so that there was nothing to learn. Look at "
                "the rewards, raise samples, or begin with a better student."
            )
        rollouts = [one for group in groups for one in group]
        values = [value for group in rewards for value in group]
        return row | self._update(rollouts, values)

    def _chosen(self) -> list[int]:
        """The prompts of this step: each pass over all of them in an order of its own."""
        found: list[int] = []
        place = self.step * self.settings.prompts
        while len(found) < min(self.settings.prompts, self.prompts):
            turn, at = divmod(place + len(found), self.prompts)
            order = np.random.default_rng((self.seed, turn)).permutation(self.prompts)
            found.append(int(order[at]))
        return found

    def _update(self, rollouts: list[Rollout], rewards: list[float]) -> dict[str, Any]:
        """Updates on the rollouts; what happened."""
        settings, row = self.settings, {}
        places = self._pieces(rollouts)
        pieces = [[rollouts[n] for n in piece] for piece in places]
        known = self._known(pieces, places, rollouts, rewards)
        total = sum(len(one.target) for piece in pieces for one in piece)
        written = [lp for piece in pieces for one in piece for lp in one.logprobs]
        if written:
            before = torch.cat([tokens.old for tokens in known]).cpu()
            row["engine_gap"] = float((torch.tensor(written) - before).abs().mean())
        for epoch in range(settings.epochs):
            self.optimizer.zero_grad()
            sums = torch.zeros(6)
            for piece, tokens in zip(pieces, known, strict=True):
                logprobs, values = self.policy(batch_of(piece, self.student))
                found = policy_loss(
                    logprobs,
                    tokens,
                    clip=settings.clip,
                    kl=0.0 if settings.estimator in ("raft", "dpo") else settings.kl,
                    values=values,
                    value_weight=settings.value_weight,
                )
                found.loss.backward()
                sums += torch.stack([part.detach().float().cpu() for part in found])
            norm = torch.nn.utils.clip_grad_norm_(
                self.trained, settings.max_grad_norm or float("inf")
            )
            if not torch.isfinite(sums[0]) or not torch.isfinite(norm):
                self.stopped = f"diverged: the loss is {sums[0].item()}. Lower learning_rate ({settings.learning_rate})."
                return row
            rise = min(1.0, (self.step + 1) / max(1, settings.warmup_steps))
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * rise
            self.optimizer.step()
            if epoch == 0:
                row |= {
                    "loss": float(sums[0]),
                    "kl": float(sums[1]) / total,
                    "entropy": float(sums[4]) / total,
                    "grad_norm": float(norm),
                    "ratio_off": float(sums[3]) / total,
                }
            else:
                row |= {"ratio_off_last": float(sums[3]) / total, "clipped": float(sums[2]) / total}
            if self.policy.value is not None:
                row["value_error"] = float(sums[5]) / total
        if row.get("kl", 0.0) > settings.kl_limit:
            self.stopped = (
                f"kl: the student is {row['kl']:.2f} nats a token away from where it started, more than {settings.kl_limit:g}. "
                f"Raise kl ({settings.kl}) or lower learning_rate ({settings.learning_rate})."
            )
        return row

    def _pieces(self, rollouts: Sequence[Rollout]) -> list[list[int]]:
        """Micro-batches: numbers of rollouts of like length. Those without a token are left out."""
        rows = [(n, encoded(one, self.student)) for n, one in enumerate(rollouts) if one.target]
        numbers = {id(row): n for n, row in rows}
        cut = micro_batches([row for _, row in rows], self.micro_batch_tokens)
        return [[numbers[id(row)] for row in piece] for piece in cut]

    def _known(
        self,
        pieces: list[list[Rollout]],
        places: list[list[int]],
        rollouts: list[Rollout],
        rewards: list[float],
    ) -> list[Tokens]:
        """Old and reference log-probabilities, advantages and weights of each piece's tokens."""
        frozen = Policy(self.reference)
        read = []
        with torch.no_grad():
            for piece in pieces:
                batch = batch_of(piece, self.student)
                read.append((*self.policy(batch), frozen(batch)[0]))
        lengths = [[len(one.target) for one in piece] for piece in pieces]
        if self.settings.estimator == "ppo":
            return self._known_of_tokens(read, places, lengths, rewards)
        apart = torch.zeros(len(rollouts))
        for (old, _, reference), numbers, own in zip(read, places, lengths, strict=True):
            apart[numbers] = (
                torch.stack([one.sum() for one in (old - reference).split(own)]).float().cpu()
            )
        advantages = self._advantages(rewards, apart)
        weights = self._weights(
            lengths, [[bool(advantages[n]) for n in numbers] for numbers in places]
        )
        found = []
        for (old, _, reference), numbers, own, weight in zip(
            read, places, lengths, weights, strict=True
        ):
            of_tokens = advantages[numbers].repeat_interleave(torch.tensor(own)).to(old)
            found.append(Tokens(old, reference, of_tokens, weight.to(old), torch.zeros_like(old)))
        return found

    def _known_of_tokens(
        self,
        read: list[tuple[Tensor, Any, Tensor]],
        places: list[list[int]],
        lengths: list[list[int]],
        rewards: list[float],
    ) -> list[Tokens]:
        """The same with a value head, whose advantages are of tokens."""
        settings = self.settings
        estimated = []
        for (_, values, _), numbers, own in zip(read, places, lengths, strict=True):
            pairs = [
                gae(value, rewards[n], settings.gamma, settings.decay)
                for value, n in zip(values.split(own), numbers, strict=True)
            ]
            estimated.append([torch.cat(parts) for parts in zip(*pairs, strict=True)])
        sizes = [len(advantages) for advantages, _ in estimated]
        whole = whitened(torch.cat([advantages for advantages, _ in estimated])).split(sizes)
        weights = self._weights(lengths)
        return [
            Tokens(old, reference, advantages, weight.to(old), returns)
            for (old, _, reference), advantages, weight, (_, returns) in zip(
                read, whole, weights, estimated, strict=True
            )
        ]

    def _weights(
        self, lengths: list[list[int]], moved: list[list[bool]] | None = None
    ) -> tuple[Tensor, ...]:
        """w_t of each piece. `moved`: rollouts with an advantage."""
        flat = [length for own in lengths for length in own]
        if self.settings.estimator == "dpo":  # its advantages are divided by the pairs
            weights = torch.ones(sum(flat))
        else:
            counted = (
                [one for own in moved or [] for one in own]
                if self.settings.estimator == "raft"
                else None
            )
            weights = token_weights(flat, self.settings.average, counted)
        return weights.split([sum(own) for own in lengths])

    def _advantages(self, rewards: list[float], apart: Tensor) -> Tensor:
        """[rollouts]: one for each. apart: log pi - log pi_ref of each."""
        settings = self.settings
        table = torch.tensor(rewards, dtype=torch.float64).view(-1, settings.samples)
        if settings.estimator == "dpo":
            return dpo(table, apart.view_as(table), settings.dpo_beta).flatten()
        return {"rloo": rloo, "grpo": grpo, "raft": raft}[settings.estimator](table).flatten()

    # ---- measuring, saving ----

    def _evaluate(self, row: dict[str, Any]) -> None:
        value = self._measure()
        row |= {"measured": True} | ({} if self.metric is None else {"metric": value})

    def _measure(self) -> float:
        """The student's figure; the student is kept where it is the best so far. Without a metric
        later is better."""
        value = float(self.step) if self.metric is None else self.metric(self.student)
        self.student.model.eval()
        if self.best is None or value > self.best.value:
            self.best = Selection(self.step, value)
            folder = self.out / self.best.folder
            self.student.save(folder)
            complete(folder)
        return value

    def _save(self) -> None:
        folder = self.out / f"checkpoint-{self.step}"
        discard(folder)
        folder.mkdir(parents=True)
        torch.save(
            {
                "policy": self.policy.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "dry": self.dry,
                "stopped": self.stopped,
                "start": self.start,
                "best": asdict(self.best) if self.best else None,
                "curves": self.curves.rows,
            },
            folder / STATE,
        )
        complete(folder, [self.best] if self.best else [])
        tidy(self.out, [folder.name, *([self.best.folder] if self.best else [])])

    def _load(self, folder: Path) -> list[dict[str, Any]]:
        """Goes on from a checkpoint; the curves up to there."""
        state = torch.load(folder / STATE, weights_only=True, map_location=self.student.device)
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.dry, self.stopped = state["step"], state["dry"], state["stopped"]
        self.start = state["start"]
        self.best = Selection(**state["best"]) if state["best"] else None
        rows: list[dict[str, Any]] = state["curves"]
        return rows


def _parts(rewarded: Sequence[Sequence[Rewarded]]) -> dict[str, float]:
    """The means of the parts of the rewards."""
    found: dict[str, list[float]] = {}
    for group in rewarded:
        for one in group:
            for name, value in one.parts.items():
                found.setdefault(name, []).append(value)
    return {f"reward_{name}": fmean(values) for name, values in found.items()}


def finished(out: Path) -> Reinforced:
    """The result of a folder whose training is over."""
    found = json.loads((out / RESULT).read_text(encoding="utf-8"))
    best = Selection(**found["best"])
    curves = read_curves(out / CURVES)
    return Reinforced(
        out / best.folder, best, found.get("start"), found["steps"], found["stopped"], curves
    )


def shares(terms: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """How much of the variance of the advantages each term of the rewards accounts for: the
    covariance of its own advantage (RLOO) with the whole, divided by the variance of the whole.
    They sum to 1 where there is any variance, else are 0; a share below 0 pulls against the others.
    Groups of one rollout have no advantage."""
    names = sorted({name for group in terms for one in group for name in one})
    if not names or min(len(group) for group in terms) < 2:
        return {}
    own = [
        rloo(torch.tensor([[one.get(name, 0.0) for one in group] for group in terms])).flatten()
        for name in names
    ]
    whole = torch.stack(own).sum(0)
    variance = float((whole**2).mean())
    return {
        name: float((value * whole).mean()) / variance if variance else 0.0
        for name, value in zip(names, own, strict=True)
    }
