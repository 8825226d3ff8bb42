"""What a student writes when it answers training questions several times, in the run folder.

    <place>/block-<n>/<file>.jsonl    records of the questions, in blocks

A killed run loses at most one block. What is kept of the answers, the caller says: exam papers
(tailored learning), right chains (self-training)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from smallsteps import team
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.generation.paths import SolveSettings
from smallsteps.records import Problem, Record
from smallsteps.students.student import Student
from smallsteps.tasks.files import write_rows

BLOCK, SERVED_BLOCK = 500, 10_000
"""Questions that are answered before their records are written; where a server answers, which
starts anew for each block."""

Ask = Callable[[Student, Sequence[Problem], SolveSettings, Callable[[int], None]], Iterable[Record]]
"""(student, some problems, how they are answered, progress in answers) → the record of each."""


@dataclass(frozen=True)
class Sampled:
    """Answers of one student to training questions."""

    lab: Lab
    load: Callable[[], Student]
    """Opens the student, once, for the first block that is not there yet."""
    samples: int
    """Answers to each question."""
    label: str
    """Names the work under the progress bar."""

    def rows(
        self, place: str, file: str, problems: Sequence[Problem], ask: Ask
    ) -> list[dict[str, Any]]:
        """The records of all problems, in their order, as rows."""
        student: Student | None = None
        total = len(problems) * self.samples
        rows: list[dict[str, Any]] = []
        block = BLOCK if self.lab.recipe.evaluation.engine == "local" else SERVED_BLOCK
        for start in range(0, len(problems), block):

            def advance(done: int, start: int = start) -> None:
                answered = start * self.samples + done * team.size()  # of all processes, about
                self.lab.reporter.advance(self.label, min(answered, total), total)

            def make(
                folder: Path, start: int = start, advance: Callable[[int], None] = advance
            ) -> None:
                nonlocal student
                student = student or self.load()
                job = self.lab.job(self.lab.recipe.seeds[0], folder)
                solving = job.solving().changed(samples=self.samples)
                answered = partial(_answered, ask, student, solving, advance)
                records = team.share_out(problems[start : start + block], answered)
                write_rows(folder / f"{file}.jsonl", (record.to_row() for record in records))

            folder = self.lab.run.stage(f"{place}/block-{start // block:03}", make)
            rows += read_json_lines(folder / f"{file}.jsonl")
        return rows


def _answered(
    ask: Ask,
    student: Student,
    solving: SolveSettings,
    progress: Callable[[int], None],
    problems: Sequence[Problem],
) -> list[Record]:
    """The records of the problems that this process answers."""
    return list(ask(student, problems, solving, progress))
