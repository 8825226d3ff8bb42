"""Trains the two halves of a dual pair side by side, and evaluates them as a pair.

    es/, as/                the halves' trainings, as `training.fit` leaves them
    pair-<evaluation>/      the best pair so far: what `smallsteps.load` takes. With
                            `until: plateau` all pairs that were best so far
    pairs.json              the figure of every evaluation, the choice of pairs, and digests of
                            their files
    pair-<criterion>/       at the end: both halves' checkpoints by one criterion of the paper

The halves train in turn from one evaluation to the next, so that only one optimizer is in memory at
a time; each continues from its checkpoint as a killed run would. The checkpoint is chosen by the
pair's answers on validation: their losses do not show which ESM fits which ASM. With `until:
plateau` both halves end where the pair's figure does not rise any more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from smallsteps import team
from smallsteps.disk import digests, read_object, write_json
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import PAPER_CRITERIA, BestSoFar, Part, Trained
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.training.choice import Choice, Selection
from smallsteps.training.fit import Training
from smallsteps.training.settings import TrainSettings

LOG = "pairs.json"
HALF = "pair"
"""Value of `half` in those rows of the curves that describe both halves together."""


@dataclass
class PairLog:
    """The evaluations of the pairs so far."""

    out: Path
    choice: Choice
    """Its updates are numbers of evaluations here, from 1."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One for each evaluation."""
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    """The folder of each pair that is kept → relative path and digest of its files."""

    @property
    def folder(self) -> Path:
        """Of the best pair."""
        return self.out / _folder_name(self.choice.selections["metric"].update)

    @property
    def seconds(self) -> float:
        """Of the evaluations of the pair, without those of its halves."""
        return float(sum(row["pair_seconds"] for row in self.rows))

    @property
    def over(self) -> bool:
        """Whether the pair has reached its plateau, or the end of its plan."""
        number = len(self.rows)
        return number == len(self.choice.evaluations) or self.choice.over(number)

    @classmethod
    def read(cls, out: Path, settings: TrainSettings, evaluations: int) -> PairLog | None:
        """The log that an earlier call left, empty where there was none; None: it is damaged."""
        patience = settings.patience if settings.until == "plateau" else None
        numbers = range(1, evaluations + 1)
        if not (out / LOG).is_file():
            return cls(out, Choice(numbers, patience, criteria=("metric",)))
        try:
            content = read_object(out / LOG)
            choice = Choice.of(numbers, patience, content["choice"], ("metric",))
            log = cls(out, choice, content["rows"], content["files"])
            whole = all(log._is_whole(name) for name in log.files)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return log if whole and (not log.rows or log.folder.is_dir()) else None

    def _is_whole(self, name: str) -> bool:
        """Whether a pair is as it was written, or was deleted since (it is not the best)."""
        folder = self.out / name
        return not folder.exists() or digests(folder, "") == self.files[name]

    def add(self, row: dict[str, Any], pair: DualStudent) -> None:
        """Adds the newest evaluation and keeps the pair if it is the best. The log is on disk
        before the training continues."""
        self.rows.append(row)
        number = len(self.rows)
        loss = row.get("loss_of_halves")
        losses = {} if loss is None else {"validation_loss": loss}
        is_best = self.choice.take(number, {"metric": row["metric"], **losses})
        team.from_first(lambda: self._write(number, pair if is_best else None))

    def _write(self, number: int, best: DualStudent | None) -> None:
        """Writes the log, and the pair of the newest evaluation where it is the best."""
        if best is not None:
            folder = self.out / _folder_name(number)
            best.save(folder)
            self.files[folder.name] = digests(folder, "")
        fail_point(f"before-pair:{number}")
        kept = {_folder_name(chosen.update) for chosen in self.choice.kept}
        self.files = {name: files for name, files in self.files.items() if name in kept}
        content = {"rows": self.rows, "choice": self.choice.state(), "files": self.files}
        write_json(self.out / LOG, content)
        for earlier in range(1, number + 1):
            name = _folder_name(earlier)
            if name not in kept:
                shutil.rmtree(self.out / name, ignore_errors=True)
        fail_point(f"after-pair:{number}")


def _folder_name(number: int) -> str:
    """The folder of the pair of an evaluation."""
    return f"pair-{number}"


def train_side_by_side(job: TrainingJob, parts: Sequence[Part]) -> Trained:
    """The best pair, the pairs by the paper's criteria, and what both halves cost together; at the
    recipe's learning rate, or the best of several, which both halves share."""
    return job.at_best_rate(parts, _train_at_one_rate)


def _train_at_one_rate(job: TrainingJob, parts: Sequence[Part]) -> Trained:
    trainings = [job.training(part) for part in parts]
    marks = _marks(job, trainings)
    log = PairLog.read(job.out, job.settings(), len(marks))
    if log is None or not _fits(log, trainings, marks):
        job.reporter.say(f"{job.label}: damaged; the training of this pair starts again")
        trainings = _afresh(job, parts)
        log = PairLog.read(job.out, job.settings(), len(marks))
        assert log is not None, "the folder is empty"
    for number, ends in enumerate(marks, start=1):
        for training, end in zip(trainings, ends, strict=True):
            training.go_on(end)
        if number > len(log.rows):
            pair = _pair(job, *(training.student for training in trainings))
            log.add(team.agreed(_measured(job, pair, trainings, ends, log.seconds)), pair)
        if number == len(log.rows) and log.over:
            break
    return _trained(job, trainings, log)


def _marks(job: TrainingJob, trainings: Sequence[Training]) -> list[tuple[int, ...]]:
    """After which update of each half the pair is evaluated: at equal shares of each half's
    tokens."""
    times = job.settings().evaluations
    return list(zip(*(training.plan.marks(times) for training in trainings), strict=True))


def _fits(log: PairLog, trainings: Sequence[Training], marks: Sequence[tuple[int, ...]]) -> bool:
    """Whether no half's checkpoint is beyond the next evaluation. A half that lags behind is
    trained again, to the same weights."""
    if len(log.rows) > len(marks):
        return False
    if log.over:
        return True
    ends = marks[len(log.rows)]
    return all(
        training.result is None and training.update <= end
        for training, end in zip(trainings, ends, strict=True)
    )


def _afresh(job: TrainingJob, parts: Sequence[Part]) -> list[Training]:
    """New trainings in empty folders. The students still hold the weights they began with."""

    def remove() -> None:
        halves = (job.out / str(part.kind).lower() for part in parts)
        for path in [*job.out.glob("pair*"), *halves]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    team.from_first(remove)
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
    losses = [
        training.validation_loss for training in trainings if training.validation_loss is not None
    ]
    starts = [end - 1 for end in ends]
    return {
        "update": sum(ends),
        **_cost(trainings, ends),
        "tokens_before": _cost(trainings, starts)["tokens"],
        "pair_seconds": took,
        "evaluation_seconds": round(of_halves + before + took, 3),
        "metric": value,
        "loss_of_halves": sum(losses) / 2 if len(losses) == 2 else None,
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
        "passes": round(weighted / max(1, sum(tokens)), 4),
        "seconds": round(sum(training.seconds for training in trainings), 3),
    }


def _trained(job: TrainingJob, trainings: Sequence[Training], log: PairLog) -> Trained:
    esm, asm = (Trained.of(training.finish()) for training in trainings)
    folders = {"metric": log.folder}
    for criterion in PAPER_CRITERIA:
        if criterion in esm.folders and criterion in asm.folders:
            halves = [half.folders[criterion] for half in (esm, asm)]
            folders[criterion] = team.from_first(partial(_saved_pair, job, halves, criterion))
    total = esm.train_tokens + asm.train_tokens
    curves = [
        {**row, "half": kind} for kind, half in (("ES", esm), ("AS", asm)) for row in half.curves
    ]
    return Trained(
        folders=folders,
        train_tokens=total,
        passes=(esm.passes * esm.train_tokens + asm.passes * asm.train_tokens) / total,
        seconds=esm.seconds + asm.seconds,
        validation=log.choice.selections["metric"].value,
        curves=[*curves, *log.rows],
        learning_rate=esm.learning_rate,
        trail=[_best_so_far(log, chosen) for chosen in log.choice.trail],
        plateau=None if log.choice.patience is None else log.choice.over(len(log.rows)),
    )


def _saved_pair(job: TrainingJob, halves: Sequence[Path], criterion: str) -> Path:
    """The folder of the pair of two checkpoints."""
    esm, asm = (load_student(folder, device="cpu") for folder in halves)
    return _pair(job, esm, asm).save(job.out / f"pair-{criterion}")


def _best_so_far(log: PairLog, chosen: Selection) -> BestSoFar:
    row = log.rows[chosen.update - 1]
    return BestSoFar(
        folder=log.out / _folder_name(chosen.update),
        value=chosen.value,
        tokens=row["tokens"],
        tokens_before=row["tokens_before"],
        passes=row["passes"],
        seconds=row["seconds"],
    )


def _pair(job: TrainingJob, esm: Student, asm: Student) -> DualStudent:
    limit = None if esm.drive is None else esm.drive.max_segments
    return DualStudent(esm, asm, Drive(job.task.name, path="dual", max_segments=limit))
