"""Trains the two halves of a dual pair side by side, and evaluates them as a pair.

    es/, as/                the halves' trainings, as `training.fit` leaves them
    pair-<evaluation>/      the best pair so far: what `smallsteps.load` takes
    pairs.json              the figure of every evaluation, the best pair, and digests of its files
    pair-<criterion>/       at the end: both halves' checkpoints by one criterion of the paper

The halves train in turn from one evaluation to the next, so that only one optimizer is in memory at
a time; each continues from its checkpoint as a killed run would. The checkpoint is chosen by the
pair's answers on validation: their losses do not show which ESM fits which ASM."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.disk import digests, read_object, write_json
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import PAPER_CRITERIA, Part, Trained
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.training.checkpoints import Selection, better
from smallsteps.training.fit import Training

LOG = "pairs.json"
HALF = "pair"
"""Value of `half` in those rows of the curves that describe both halves together."""


@dataclass
class PairLog:
    """The evaluations of the pairs so far."""

    out: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One for each evaluation."""
    best: Selection | None = None
    """`update` counts evaluations here."""
    files: dict[str, str] = field(default_factory=dict)
    """Of the best pair: relative path and digest."""

    @property
    def folder(self) -> Path:
        """Of the best pair."""
        assert self.best is not None
        return self.out / f"pair-{self.best.update}"

    @property
    def seconds(self) -> float:
        """Of the evaluations of the pair, without those of its halves."""
        return float(sum(row["pair_seconds"] for row in self.rows))

    @classmethod
    def read(cls, out: Path) -> PairLog | None:
        """The log that an earlier call left; None: it is damaged."""
        if not (out / LOG).is_file():
            return cls(out)
        try:
            content = read_object(out / LOG)
            log = cls(out, content["rows"], Selection(**content["best"]), content["files"])
        except (ValueError, KeyError, TypeError):
            return None
        return log if digests(log.folder, "") == log.files else None

    def add(self, row: dict[str, Any], pair: DualStudent) -> None:
        """Adds the newest evaluation and keeps the pair if it is the best. The log is on disk
        before the training continues."""
        self.rows.append(row)
        if better("metric", row["metric"], self.best):
            self.best = Selection(len(self.rows), row["metric"])
            pair.save(self.folder)
            self.files = digests(self.folder, "")
        fail_point(f"before-pair:{len(self.rows)}")
        best = None if self.best is None else vars(self.best)
        write_json(self.out / LOG, {"rows": self.rows, "best": best, "files": self.files})
        for number in range(1, len(self.rows) + 1):
            if self.best is None or number != self.best.update:
                shutil.rmtree(self.out / f"pair-{number}", ignore_errors=True)
        fail_point(f"after-pair:{len(self.rows)}")


def train_side_by_side(job: TrainingJob, parts: Sequence[Part]) -> Trained:
    """The best pair, the pairs by the paper's criteria, and what both halves cost together."""
    trainings = [job.training(part) for part in parts]
    marks = _marks(job, trainings)
    log = PairLog.read(job.out)
    if log is None or not _fits(log, trainings, marks):
        job.reporter.say(f"{job.label}: damaged; the training of this pair starts again")
        log, trainings = PairLog(job.out), _afresh(job, parts)
    for number, ends in enumerate(marks):
        for training, end in zip(trainings, ends, strict=True):
            training.go_on(end)
        if number >= len(log.rows):
            pair = _pair(job, *(training.student for training in trainings))
            log.add(_measured(job, pair, trainings, ends, log.seconds), pair)
    return _trained(job, trainings, log)


def _marks(job: TrainingJob, trainings: Sequence[Training]) -> list[tuple[int, ...]]:
    """After which update of each half the pair is evaluated: at equal shares of each half's
    tokens."""
    times = job.settings().evaluations
    return list(zip(*(training.plan.marks(times) for training in trainings), strict=True))


def _fits(log: PairLog, trainings: Sequence[Training], marks: Sequence[tuple[int, ...]]) -> bool:
    """Whether no half's checkpoint is beyond the next evaluation. A half that lags behind is
    trained again, to the same weights."""
    if len(log.rows) >= len(marks):
        return len(log.rows) == len(marks)
    ends = marks[len(log.rows)]
    return all(
        training.result is None and training.update <= end
        for training, end in zip(trainings, ends, strict=True)
    )


def _afresh(job: TrainingJob, parts: Sequence[Part]) -> list[Training]:
    """New trainings in empty folders. The students still hold the weights they began with."""
    for path in [*job.out.glob("pair*"), *(job.out / str(part.kind).lower() for part in parts)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return [job.training(part) for part in parts]


def _measured(
    job: TrainingJob,
    pair: DualStudent,
    trainings: Sequence[Training],
    ends: Sequence[int],
    before: float,
) -> dict[str, Any]:
    """A row of the curves: both halves' updates, tokens and seconds together, and the task's figure
    on validation. `before`: seconds of the earlier evaluations of the pair."""
    began = time.monotonic()
    value = job.validation_metric(pair)
    took = time.monotonic() - began
    if job.forecast is not None:
        job.forecast.measured(took)
    of_halves = sum(training.evaluation_seconds for training in trainings)
    return {
        "update": sum(ends),
        **_cost(trainings, ends),
        "pair_seconds": took,
        "evaluation_seconds": round(of_halves + before + took, 3),
        "metric": value,
        "half": HALF,
    }


def _cost(trainings: Sequence[Training], ends: Sequence[int]) -> dict[str, Any]:
    """What both halves have cost by their updates `ends`; passes are weighted by tokens."""
    plans = [training.plan for training in trainings]
    tokens = [plan.tokens_after(end) for plan, end in zip(plans, ends, strict=True)]
    passes = [plan.passes_after(end) for plan, end in zip(plans, ends, strict=True)]
    weighted = sum(count * times for count, times in zip(tokens, passes, strict=True))
    return {
        "tokens": sum(tokens),
        "passes": round(weighted / sum(tokens), 4),
        "seconds": round(sum(training.seconds for training in trainings), 3),
    }


def _trained(job: TrainingJob, trainings: Sequence[Training], log: PairLog) -> Trained:
    esm, asm = (Trained.of(training.finish()) for training in trainings)
    folders = {"metric": log.folder}
    for criterion in PAPER_CRITERIA:
        if criterion in esm.folders and criterion in asm.folders:
            halves = [load_student(half.folders[criterion], device="cpu") for half in (esm, asm)]
            folders[criterion] = _pair(job, *halves).save(job.out / f"pair-{criterion}")
    total = esm.train_tokens + asm.train_tokens
    curves = [
        {**row, "half": kind} for kind, half in (("ES", esm), ("AS", asm)) for row in half.curves
    ]
    return Trained(
        folders=folders,
        train_tokens=total,
        passes=(esm.passes * esm.train_tokens + asm.passes * asm.train_tokens) / total,
        seconds=esm.seconds + asm.seconds,
        validation=None if log.best is None else log.best.value,
        curves=[*curves, *log.rows],
        learning_rate=esm.learning_rate,
    )


def _pair(job: TrainingJob, esm: Student, asm: Student) -> DualStudent:
    limit = None if esm.drive is None else esm.drive.max_segments
    return DualStudent(esm, asm, Drive(job.task.name, path="dual", max_segments=limit))
