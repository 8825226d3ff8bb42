"""How fast a uni-path student answers beside one that writes whole chains: the part `uni` of
throughput.py.

No trained student travels with the scripts, so both are fitted first, for a short while each, on the
same chains: long enough that the uni student has learnt to write segments, which the figures say.
Then both answer the same questions by `solve`, at the same batch, with each engine. Counted are
written tokens a second, ends of segments included; wanted is at least 0.7 of the direct student's.
A call of `solve` opens its engine anew, so the first one, which is not counted, warms up what the
process keeps."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from smallsteps import load_student
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.records import Chain, Prediction
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.training.fit import Training
from smallsteps.training.settings import TrainSettings

WANTED = 0.7
"""Of the direct student's tokens a second."""
STRATEGY = "rouge"
ENGINES = ("graphs", "local")
SLICES = 4
"""A training looks at the clock this often."""
ENOUGH = 120.0
"""Seconds below which the part does not begin on a GPU."""
ArmPath = Literal["direct", "uni"]


@dataclass(frozen=True)
class UniSizes:
    """How much is trained and asked."""

    chains: int
    tokens: int
    """Training tokens of each student."""
    fit_seconds: float
    """After which no further slice of a training begins."""
    questions: int
    batch: int
    longest: int | None
    """Tokens of a chain at most; None: what the task allows."""


ON_A_GPU = UniSizes(2000, 1_000_000, 30.0, 512, 256, None)
TINY = UniSizes(24, 1000, 60.0, 4, 4, 48)


class UniSpeed:
    """Both students, and their rates."""

    def __init__(
        self,
        student: str,
        task: Task,
        chains: Sequence[Chain],
        device: str,
        note: Callable[..., None],
        seconds_left: Callable[[], float],
        sizes: UniSizes,
    ) -> None:
        """student: what both begin with. note: takes the figures of a line."""
        self.student, self.task, self.device = student, task, device
        self.note, self.seconds_left, self.sizes = note, seconds_left, sizes
        self.chains = list(chains[: sizes.chains])
        self.problems = [chain.problem for chain in chains[: sizes.questions]]

    def run(self) -> None:
        """Fits both, then lets both answer."""
        if self.device != "cpu" and self.seconds_left() < ENOUGH:
            self.note(part="uni", skipped="no time left")
            return
        with tempfile.TemporaryDirectory() as folder:
            places = {path: self._fitted(path, Path(folder) / path) for path in ("direct", "uni")}
            dtype = "float32" if self.device == "cpu" else "bfloat16"
            students = {
                path: load_student(place, device=self.device, dtype=dtype)
                for path, place in places.items()
            }
        for engine in ENGINES:
            rates = {path: self._rate(path, student, engine) for path, student in students.items()}
            ratio = round(rates["uni"] / rates["direct"], 3)
            self.note(part="uni", what=f"uni to direct, {engine}", ratio=ratio, wanted=WANTED)

    def _fitted(self, path: ArmPath, place: Path) -> Path:
        """The folder of a student that was fitted for a short while."""
        began = time.perf_counter()
        student = prepare(load_student(self.student, device=self.device), self.task, path=path)
        segments = []
        if path == "uni":
            segments = segment_chains(self.chains, STRATEGY, task=self.task)
        examples = build_examples(self.chains, segments, self.task, path)
        settings = TrainSettings(
            budget=self.sizes.tokens,
            evaluations=SLICES,
            schedule="constant",
            overlong="drop",
            early_stop="drop",
            dtype="float32" if self.device == "cpu" else "bfloat16",
        )
        training = Training(student, examples, [], settings, place, task=self.task)
        for mark in training.plan.evaluations(SLICES):
            training.go_on(mark)
            if time.perf_counter() - began > self.sizes.fit_seconds:
                break
        self.note(
            part="uni",
            what=f"fit {path}",
            tokens=training.plan.tokens_after(training.update),
            seconds=round(time.perf_counter() - began, 1),
        )
        folder = training.finish().folder("train_loss")
        del training, student
        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()
        return folder

    def _rate(self, path: str, student: Student, engine: str) -> float:
        """Written tokens a second."""
        self._answers(student, engine)
        began = self._now()
        predictions = self._answers(student, engine)
        seconds = self._now() - began
        tokens = sum(prediction.tokens for prediction in predictions)
        in_segments = sum(len(prediction.segments) > 1 for prediction in predictions)
        figures: dict[str, Any] = {} if path == "direct" else {"in_segments": in_segments}
        self.note(
            part="uni",
            what=f"{path}, {engine}",
            batch=self.sizes.batch,
            tokens_a_second=round(tokens / seconds),
            tokens=tokens,
            chains=len(predictions),
            ended=sum(prediction.stopped != "limit" for prediction in predictions),
            **figures,
        )
        return tokens / seconds

    def _answers(self, student: Student, engine: str) -> list[Prediction]:
        task, longest = self.task, self.sizes.longest
        if longest is not None:
            task = replace(task, max_chain_tokens=longest, max_segment_tokens=longest)
        settings = SolveSettings(engine=engine, batch_size=self.sizes.batch)
        return list(solve(student, self.problems, task, settings, Decoding()))

    def _now(self) -> float:
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()
