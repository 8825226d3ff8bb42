"""What a student writes in a round, in the run folder: exam papers and greedy answers.

    <round>/exam/block-<n>/papers.jsonl    exam papers of the training questions, in blocks
    <round>/validation/, <round>/test/     predictions, greedy

The exam itself is in `exam.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps.experiment.lab import Lab
from smallsteps.experiment.sampled import Sampled
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.generation.generator import NO_CAP, Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.methods.tailored.config import TailoredSettings
from smallsteps.methods.tailored.exam import Paper, sit
from smallsteps.records import Prediction, Problem
from smallsteps.segments.examples import SegmentPath
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows


@dataclass(frozen=True)
class Examinee:
    """A student that sits an exam and answers questions."""

    folder: Path | str
    seed: int
    round: int
    """The number of trainings behind it."""
    label: str
    """Its name in messages."""


@dataclass
class ExamStages:
    """Exams and greedy answers, each made once."""

    lab: Lab
    settings: TailoredSettings

    def papers(
        self, candidate: Examinee, place: str, demonstrations: Sequence[tuple[str, str]]
    ) -> list[Paper]:
        """The exam papers of the training questions, in their order."""
        task = self.lab.task
        decoding = Decoding(
            max_new_tokens=NO_CAP,
            temperature=self.settings.temperature,
            top_k=self.settings.top_k,
            seed=candidate.seed * 1000 + candidate.round,
        )

        def ask(
            student: Student,
            problems: Sequence[Problem],
            solving: SolveSettings,
            progress: Callable[[int], None],
        ) -> list[Paper]:
            return sit(
                student,
                problems,
                task,
                samples=solving.samples,
                decoding=decoding,
                solving=solving,
                progress=progress,
            )

        sampled = Sampled(
            self.lab,
            lambda: self._load(candidate, demonstrations),
            self.settings.samples,
            f"exam {candidate.label}",
        )
        rows = sampled.rows(f"{place}/exam", "papers", self.lab.data.train, ask)
        return [Paper.from_row(row) for row in rows]

    def predictions(
        self,
        candidate: Examinee,
        place: str,
        part: str,
        problems: list[Problem],
        demonstrations: Sequence[tuple[str, str]],
    ) -> list[Prediction]:
        """Greedy answers to the problems of a part of the data, in their order."""
        stage = f"{place}/{part}"

        def make(folder: Path) -> None:
            student = self._load(candidate, demonstrations)
            job = self.lab.job(candidate.seed, folder)
            predictions = job.timed_answers(student, problems, f"{candidate.label}, {part}")
            # the author is the stage and not a path: a run folder may be moved
            signed = (replace(prediction, author=stage) for prediction in predictions)
            rows = (prediction.to_row() for prediction in signed)
            write_rows(folder / "predictions.jsonl", rows)

        folder = self.lab.run.stage(stage, make)
        return [Prediction.from_row(row) for row in read_json_lines(folder / "predictions.jsonl")]

    def _load(self, candidate: Examinee, demonstrations: Sequence[tuple[str, str]]) -> Student:
        """The student, ready to answer; an untrained one is prepared to write as its path
        demands."""
        recipe = self.lab.recipe
        student = load_student(
            candidate.folder, device=recipe.student.device, dtype=recipe.evaluation.dtype
        )
        path: SegmentPath = "uni" if self.settings.segments else "direct"
        return prepare(
            student,
            self.lab.task,
            path=path,
            texts=self.lab.data.texts,
            demonstrations=tuple(demonstrations),
        )
