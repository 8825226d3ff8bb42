"""The arm `base`: the student before training, zero-shot. What every training has to beat.

    arms/base/validation/, arms/base/answers/    greedy answers, the same for all seeds

A causal student with a chat template is told to think step by step and how to close
(`teaching.zero_shot`); all others read the question alone. Answers are read off leniently, and a
chain that repeats itself is ended: greedy decoding of untrained students often runs in a circle
until the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps.evaluation.grade import grade
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome
from smallsteps.methods.baselines.config import BASE, METHOD
from smallsteps.records import Prediction, Problem
from smallsteps.tasks.base import Task
from smallsteps.teaching.zero_shot import folder_follows_instructions, zero_shot

Answers = Callable[[str, Task, Sequence[Problem]], list[Prediction]]
"""(stage, task, problems) → the predictions, made once."""
DECODE = "greedy, lenient"
"""How answers of untrained students come about, for the score's signature."""


@dataclass(frozen=True)
class BaseArm:
    """The recipe's student as it is."""

    name: str = BASE
    method: str = METHOD.name

    def against(self, names: Sequence[str]) -> list[str]:
        return []

    def run(self, lab: Lab, seed: int) -> Outcome:
        instructed = folder_follows_instructions(lab.base_folder)

        def answers(stage: str, task: Task, problems: Sequence[Problem]) -> list[Prediction]:
            def job(folder: Path) -> TrainingJob:
                return replace(lab.job(seed, folder, self.name), untrained=True)

            put = zero_shot(task) if instructed else task
            return lab.answer(self.name, lab.base_folder, problems, job, name=stage, task=put)

        return untrained_outcome(lab, answers)


def untrained_outcome(lab: Lab, answers: Answers) -> Outcome:
    """The outcome of a student that answers without having been trained."""
    problems = lab.problems(ChainSelection(), lab.data.test)
    predictions = answers("answers", lab.task, problems)
    validation = lab.validation_problems()
    measured = grade(answers("validation", lab.task, validation), validation, lab.task)
    assemble = lab.task.assemble
    return Outcome(
        predictions,
        shown=assemble(problems, predictions) if assemble else predictions,
        validation=measured.value,
        further={
            test: answers(f"answers-{test}", task, rows)
            for test, (task, rows) in lab.data.further.items()
        },
        untrained=True,
        decode=DECODE,
    )
