"""Reinforcement learning of a student on rewards for what it writes.

    for each step:   rollouts (k of each prompt)  →  rewards  →  advantages  →  `epochs` updates

One loop serves all estimators (`estimators.py`); a step's updates are in `learner.py`. No
maintained library trains encoder-decoders this way, so the loop is ours. The caller brings rollouts
(from the local engine) and rewards.

A step depends on the weights and its number alone, so that a killed run goes on from its last saved
state and ends with the same weights (CPU). Three things end a run early, with the state saved:
`no-signal` (all rewards of each group were equal, for many steps), `kl` (the student moved too far
from where it started) and `diverged` (the loss is no number).

Several processes (torchrun, accelerate launch) share the updates of a step, and with FSDP in
accelerate's config the weights too; rollouts, rewards and measures are shared out by the caller
(`team.share_out`). The first process decides and writes. The result is that of one process.

This loop is apart from `fit` (`trainer.py`), because its data are written by the student itself:
there is no plan of updates known before the start, and no epoch over examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import torch

from smallsteps import team
from smallsteps.errors import InternalError
from smallsteps.faults import names_faults
from smallsteps.students.student import Student
from smallsteps.training.accelerate_config import dtype_of_launch, sharding_of_launch
from smallsteps.training.checkpoints import (
    CURVES,
    RESULT,
    Curves,
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
from smallsteps.training.choice import Selection
from smallsteps.training.estimators import rloo
from smallsteps.training.learner import Learner
from smallsteps.training.processes import own_device
from smallsteps.training.rollouts import Reward, Rewarded, Roll, Rollout, mean_by_name
from smallsteps.training.settings import ReinforceSettings
from smallsteps.training.sharding import whole_weights

Measure = Callable[[Student], float]
"""Validation figure of a student; higher is better."""
Progress = Callable[[int, int, Mapping[str, float]], None]
"""(steps done, steps in all, figures of the newest step)."""

STATE = "state.pt"


@dataclass(frozen=True)
class Reinforced:
    """The result of reinforcement learning."""

    folder: Path
    """Hugging Face folder of the student with the best measure, which may be the one before the
    first step (update 0). Without a measure: the last one."""
    best: Selection
    start: float | None
    """Measure of the student before the first step; None without a measure."""
    steps: int
    """Steps done."""
    stopped: str | None
    """Why training ended before its last step; None: it did not."""
    curves: list[dict[str, Any]]
    """A row per step."""


@names_faults
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
    micro_batch_tokens: int | None = None,
) -> Reinforced:
    """Train `student` in place on rewards for what it writes for `prompts` prompts, numbered from
    0. `out` receives checkpoints, curves and the best student.

    Called again with the same arguments after a kill, it goes on; on a finished folder it returns
    the result at once. digest: fingerprint of everything else that determines the run (data,
    reward). say: receives a line if files in `out` were damaged and training starts again; None:
    a warning. seed: order of the prompts. micro_batch_tokens: padded tokens that go through the
    model at once; None: 4,096 on a CPU, on a GPU what its memory holds; halved where memory runs
    out all the same. Changes speed and memory only.

    Raises RunFolderError if `out` belongs to another run, and TrainingError for what accelerate's
    config asks for and smallsteps does not do, or where memory does not suffice for one rollout."""
    out = Path(out)
    sharding_of_launch()  # what cannot be done is refused before anything is written
    identity = [settings.effects(), seed, prompts, digest, student.weights_digest()]
    if dtype_of_launch() is not None:
        identity.append(dtype_of_launch())
    text = json.dumps(identity, sort_keys=True)
    team.join(student.device.type)
    student.model.to(own_device(student.device))
    if team.is_first():
        claim(out, hashlib.sha256(text.encode()).hexdigest()[:16])
        repair(out, say)
    team.wait_for_all()
    if is_finished(out):
        return read_reinforced(out)
    learner = Learner(student, settings, micro_batch_tokens)
    loop = _Loop(learner, PromptOrder(prompts, settings.prompts, seed), out, metric)
    result = loop.run(roll, reward, progress)
    learner.end()
    return result


def read_reinforced(out: Path) -> Reinforced:
    """The result in a folder whose training is over."""
    result = json.loads((out / RESULT).read_text(encoding="utf-8"))
    best = Selection(**result["best"])
    curves = read_curves(out / CURVES)
    return Reinforced(
        out / best.folder, best, result.get("start"), result["steps"], result["stopped"], curves
    )


@dataclass(frozen=True)
class PromptOrder:
    """Which prompts each step reads: pass after pass over all of them, each in its own order."""

    prompts: int
    per_step: int
    seed: int

    def of_step(self, step: int) -> list[int]:
        """Numbers of the prompts of `step`, counted from 0; at most each prompt once per pass."""
        first = step * self.per_step
        numbers = []
        for place in range(first, first + min(self.per_step, self.prompts)):
            turn, at = divmod(place, self.prompts)
            order = np.random.default_rng((self.seed, turn)).permutation(self.prompts)
            numbers.append(int(order[at]))
        return numbers


class _Loop:
    """A run under way: steps, measurements, saved states."""

    def __init__(
        self, learner: Learner, order: PromptOrder, out: Path, metric: Measure | None
    ) -> None:
        """Goes on from the last saved state in `out`, if there is one."""
        self.learner, self.order, self.out, self.metric = learner, order, out, metric
        self.student, self.settings = learner.student, learner.settings
        self.step = 0
        self.steps_without_signal = 0
        self.best: Selection | None = None
        self.start: float | None = None
        self.stopped: str | None = None
        rows: list[dict[str, Any]] = []
        checkpoint = latest_checkpoint(out)
        if checkpoint is not None:
            rows = self._load(checkpoint)
        team.wait_for_all()
        self._tidy([] if checkpoint is None else [checkpoint.name])
        self.curves = Curves(out / CURVES, rows, write=team.is_first())

    def run(self, roll: Roll, reward: Reward, progress: Progress | None) -> Reinforced:
        """All steps that are left."""
        steps = self.settings.steps
        measured_steps = evaluated_steps(steps, self.settings.evaluations)
        if self.metric is not None and self.best is None:
            # if no step improves on validation, the student that it began with is the result
            self.start = self._measure()
            self._save()
        while self.step < steps and self.stopped is None:
            began = perf_counter()
            row = self._step(roll, reward)
            self.step += 1
            row = {"update": self.step, **row, "seconds": round(perf_counter() - began, 3)}
            measured = self.step in measured_steps or self.stopped is not None
            if measured:
                value = self._measure()
                row |= {"measured": True} | ({} if self.metric is None else {"metric": value})
            self.curves.add(row)
            if progress is not None and team.is_first():
                progress(self.step, steps, row)
            if measured:
                self._save()
        return self._finish()

    def _step(self, roll: Roll, reward: Reward) -> dict[str, Any]:
        """Rollouts, rewards and updates of one step; its row of the curves."""
        with whole_weights(self.student.model):
            groups = roll(self.student, self.step, self.order.of_step(self.step))
        began = perf_counter()
        rewarded = team.agreed(reward(groups, self.step))
        row = {
            "reward_seconds": round(perf_counter() - began, 3),
            **group_figures(groups, rewarded),
        }
        self._count_signal(row["no_signal"])
        rewards = [[rollout.value for rollout in group] for group in rewarded]
        learned = self.learner.learn(groups, rewards, self.step)
        self.stopped = learned.stopped or self.stopped
        return row | learned.row

    def _count_signal(self, share_without: float) -> None:
        """Stop after many steps whose groups all had equal rewards."""
        compares = self.learner.estimator.min_samples > 1
        without = compares and share_without == 1.0
        self.steps_without_signal = self.steps_without_signal + 1 if without else 0
        if self.steps_without_signal >= self.settings.patience:
            self.stopped = (
                f"no-signal: for {self.steps_without_signal} steps all rewards of each group were "
                "equal, so there was nothing to learn. Check the rewards, raise samples, or start "
                "from a better student."
            )

    def _measure(self) -> float:
        """Validation figure of the student, which is kept if it is the best so far. Without a
        metric, later is better."""
        value = float(self.step)
        with whole_weights(self.student.model):
            if self.metric is not None:
                value = team.agreed(self.metric(self.student))
            self.student.model.eval()
            if self.best is None or value > self.best.value:
                self.best = Selection(self.step, value)
                if team.is_first():
                    folder = self.out / self.best.folder
                    self.student.save(folder)
                    complete(folder)
        return value

    # ---- files ----

    def _save(self) -> None:
        state = {
            "step": self.step,
            "steps_without_signal": self.steps_without_signal,
            "stopped": self.stopped,
            "start": self.start,
            "best": asdict(self.best) if self.best else None,
            "curves": self.curves.rows,
        }
        with whole_weights(self.student.model):
            state |= self.learner.state()
            if team.is_first():
                folder = self.out / f"checkpoint-{self.step}"
                discard(folder)
                folder.mkdir(parents=True)
                torch.save(state, folder / STATE)
                complete(folder, [self.best] if self.best else [])
                self._tidy([folder.name])
        team.wait_for_all()

    def _load(self, folder: Path) -> list[dict[str, Any]]:
        """Go on from a checkpoint. Returns its rows of the curves."""
        state = torch.load(folder / STATE, weights_only=True, map_location="cpu")
        self.learner.load_state(state)
        self.step, self.stopped, self.start = state["step"], state["stopped"], state["start"]
        self.steps_without_signal = state["steps_without_signal"]
        self.best = Selection(**state["best"]) if state["best"] else None
        rows: list[dict[str, Any]] = state["curves"]
        return rows

    def _tidy(self, checkpoints: Sequence[str]) -> None:
        if team.is_first():
            tidy(self.out, [*checkpoints, *([self.best.folder] if self.best else [])])

    def _finish(self) -> Reinforced:
        if self.best is None:
            raise InternalError(f"{self.out}: reinforcement ended without a student")
        result = {
            "best": asdict(self.best),
            "start": self.start,
            "steps": self.step,
            "stopped": self.stopped,
        }
        if team.is_first():
            finish(self.out, result, [self.best])
            self._tidy([])
        team.wait_for_all()
        return read_reinforced(self.out)


def evaluated_steps(steps: int, evaluations: int) -> set[int]:
    """After which steps the student is measured: at equal shares, the last at the end.

    >>> sorted(evaluated_steps(10, 3))
    [3, 7, 10]
    """
    return {round(steps * number / evaluations) for number in range(1, evaluations + 1)}


def group_figures(
    groups: Sequence[Sequence[Rollout]], rewarded: Sequence[Sequence[Rewarded]]
) -> dict[str, float]:
    """Figures of a step's rollouts for the curves: mean reward, share of groups without signal
    (equal rewards), mean length in tokens, share of unfinished rollouts, mean of each part of the
    rewards, share of each term."""
    rollouts = [rollout for group in groups for rollout in group]
    rewards = [reward for group in rewarded for reward in group]
    equal = [max(r.value for r in group) == min(r.value for r in group) for group in rewarded]
    parts = mean_by_name(reward.parts for reward in rewards)
    terms = term_shares([[reward.terms for reward in group] for group in rewarded])
    return {
        "reward": fmean(reward.value for reward in rewards),
        "no_signal": fmean(float(flag) for flag in equal),
        "length": fmean(len(rollout.target) for rollout in rollouts),
        "unfinished": fmean(float(not rollout.finished) for rollout in rollouts),
        **{f"reward_{name}": value for name, value in parts.items()},
        **{f"share_{name}": value for name, value in terms.items()},
    }


def term_shares(terms: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Share of the variance of the advantages (RLOO) that each term of the rewards accounts for:
    covariance of the term's advantage with the whole, divided by the variance of the whole.

    The shares sum to 1, or are all 0 without any variance. A negative share pulls against the
    others. Empty for groups of one rollout, which have no advantage, and for rewards without
    terms."""
    names = sorted({name for group in terms for rollout in group for name in rollout})
    if not names or min(len(group) for group in terms) < 2:
        return {}
    advantages = [
        rloo(torch.tensor([[rollout.get(name, 0.0) for rollout in group] for group in terms]))
        for name in names
    ]
    whole = torch.stack([table.flatten() for table in advantages]).sum(0)
    variance = float((whole**2).mean())
    return {
        name: float((table.flatten() * whole).mean()) / variance if variance else 0.0
        for name, table in zip(names, advantages, strict=True)
    }
