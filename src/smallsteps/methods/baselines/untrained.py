"""The arms of the student before training: what every training has to beat.

    base            zero-shot: the question, with an instruction where the student follows them
    base-fewshot    after `baselines.shots` chains of the training part (causal students)

    arms/base/validation/, arms/base/answers/    greedy answers, the same for all seeds
    arms/base-fewshot-seed<k>/student/           the student with its worked examples, which the
                                                 seed draws; answers beside it

Answers are read off leniently, and a chain that repeats itself is ended: greedy decoding of
untrained students often runs in a circle until the limit."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import grade
from smallsteps.experiment.further import file_name
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import ChainSelection, Outcome, label_of, place_of
from smallsteps.methods.baselines.config import BASE, BASE_FEWSHOT, METHOD, BaselinesSettings
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.zero_shot import folder_follows_instructions, zero_shot

Answers = Callable[[str, Task, Sequence[Problem]], list[Prediction]]
"""(stage, task, problems) → the predictions, made once."""
DECODE = "greedy, lenient"
"""How answers of untrained students come about, for the score's signature."""


@dataclass(frozen=True)
class BaseArm:
    """The recipe's student as it is, zero-shot."""

    name: str = BASE
    method: str = METHOD.name

    def against(self, names: Sequence[str]) -> list[str]:
        return []

    def run(self, lab: Lab, seed: int) -> Outcome:
        prompt = lab.recipe.section(BaselinesSettings).prompt
        instructed = prompt is not None or folder_follows_instructions(lab.base_folder)

        def answers(stage: str, task: Task, problems: Sequence[Problem]) -> list[Prediction]:
            put = zero_shot(task, read_prompt(prompt) if prompt else None) if instructed else task
            return lab.answer(
                self.name,
                lab.base_folder,
                problems,
                lambda folder: untrained_job(lab, seed, folder, self.name),
                name=stage,
                task=put,
            )

        return replace(untrained_outcome(lab, answers), untrained=True)


@dataclass(frozen=True)
class FewShotArm:
    """The recipe's student with worked examples before every question."""

    name: str = BASE_FEWSHOT
    method: str = METHOD.name

    def against(self, names: Sequence[str]) -> list[str]:
        return []

    def student(self, lab: Lab, seed: int) -> Path:
        """The folder of the student with its worked examples. Raises RecipeError where the student
        is an encoder-decoder, or has no room for the examples and a question."""

        def make(folder: Path) -> None:
            dtype = lab.recipe.evaluation.dtype
            student = load_student(lab.base_folder, device="cpu", dtype=dtype)
            refuse_encoder_decoder(student.architecture == "causal", student.name)
            shots = lab.recipe.section(BaselinesSettings).shots
            chains = worked_examples(lab.train_chains(ChainSelection()), shots, seed)
            pairs = [(lab.task.render(chain.problem), chain.rationale.text) for chain in chains]
            prepare(student, lab.task, path="direct", demonstrations=pairs, trained=False)
            _check_room(lab, student, max(len(student.encode(text)) for _, text in pairs))
            student.save(folder / "student")

        return lab.run.stage(f"arms/{place_of(self.name, seed)}/student", make) / "student"

    def run(self, lab: Lab, seed: int) -> Outcome:
        student, place = self.student(lab, seed), place_of(self.name, seed)
        label = label_of(self.name, seed)

        def answers(stage: str, task: Task, problems: Sequence[Problem]) -> list[Prediction]:
            return lab.answer(
                place,
                student,
                problems,
                lambda folder: untrained_job(lab, seed, folder, label),
                name=stage,
                task=task,
            )

        return replace(untrained_outcome(lab, answers), student=student)


def worked_examples(chains: Sequence[Chain], count: int, seed: int) -> list[Chain]:
    """`count` chains of different questions, drawn by the seed; all where there are fewer."""
    first = {chain.problem.id: chain for chain in reversed(chains)}
    rng = random.Random(f"shots/{seed}")
    return [first[id] for id in rng.sample(sorted(first), min(count, len(first)))]


def refuse_encoder_decoder(causal: bool | None, student: str) -> None:
    """Raises RecipeError where the student is known to read no worked examples."""
    if causal is False:
        raise RecipeError(
            f"the arm {BASE_FEWSHOT} is for causal students, and {student} is an encoder-decoder, "
            "which reads the question alone. Take it out of the arms, or name a causal student"
        )


def _check_room(lab: Lab, student: Student, new_tokens: int) -> None:
    """Raises RecipeError where a question leaves the student less room than the longest worked
    example takes."""
    sets = [(lab.task, lab.data.test), (lab.task, lab.validation_problems())]
    for task, problems in [*sets, *lab.data.further.values()]:
        for problem in problems:
            ids = student.source_ids(task, task.render(problem))
            try:
                student.require_room(ids, problem.id, new_tokens=new_tokens)
            except DataError as error:
                raise RecipeError(f"{BASE_FEWSHOT}: {error} Or lower baselines.shots.") from None


def untrained_job(lab: Lab, seed: int, folder: Path, label: str) -> TrainingJob:
    """The job in which an untrained student answers."""
    return replace(lab.job(seed, folder, label), untrained=True)


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
            test: answers(f"answers-{file_name(test)}", task, rows)
            for test, (task, rows) in lab.data.further.items()
        },
        decode=DECODE,
    )
