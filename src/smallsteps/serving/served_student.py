"""A student as the server knows it: its name, its task, and what it makes of a request.

A student that smallsteps trained gets its question as in training: the last message of the user.
A model without a task (a chat model, a bundled student) reads the whole conversation through its
own chat template. With `--task` a model that was never trained for it is asked as `solve` asks it:
step by step, answers read leniently."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smallsteps.errors import RecipeError, StudentError, similar
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import StudentWithTask
from smallsteps.records import Kind
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.scripts import ChainScript, Script, TextScript
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.teaching.zero_shot import follows_instructions, zero_shot

MAX_SOURCE_TOKENS = 4096
"""Tokens that a student without a limit of its own (T5) reads: its memory grows with their
square."""

ScriptMaker = Callable[[Callable[[], None]], Script]
"""Gets what is to be called after each segment."""


@dataclass(frozen=True)
class ServedStudent:
    """A student and its name in `/v1/models`."""

    id: str
    student: Student | DualStudent
    task: Task | None
    """None: it continues texts and conversations."""
    batch_size: int = 64
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def halves(self) -> dict[Kind, Student]:
        """Whose engines are needed."""
        student = self.student
        if isinstance(student, DualStudent):
            return {"ES": student.es, "AS": student.as_}
        return {"ES": student}

    @property
    def by_segment(self) -> bool:
        """Whether it writes segment by segment."""
        drive = self.student.drive
        return self.task is not None and drive is not None and drive.path != "direct"

    @property
    def settings(self) -> SolveSettings:
        """How its chains are written: as `solve` writes them."""
        assert self.task is not None, "only a student with a task writes chains"
        settings = StudentWithTask(self.student, self.task).settings(self.batch_size)
        if self.halves["ES"].max_source_tokens is None:
            return settings.changed(source_limit=MAX_SOURCE_TOKENS)
        return settings

    @property
    def engine_settings(self) -> EngineSettings:
        """Of each of its engines."""
        return EngineSettings(batch_size=self.batch_size)

    def chat_script(
        self, messages: Sequence[tuple[str, str]], decoding: Decoding, sample: int
    ) -> ScriptMaker:
        """The answer to a conversation. Raises ApiError where it holds no question."""
        if self.task is None:
            student = self._text_student()
            return self._text_script(student.chat_ids(messages), decoding, sample)
        questions = [content for role, content in messages if role == "user"]
        if not questions:
            raise ApiError(400, "`messages`: no message of the user.", param="messages")
        return self.question_script(questions[-1], decoding, sample)

    def prompt_script(self, prompt: str, decoding: Decoding, sample: int) -> ScriptMaker:
        """The answer to a question; of a model without a task, the continuation of a text."""
        if self.task is not None:
            return self.question_script(prompt, decoding, sample)
        student = self._text_student()
        tail = student.source_tail if student.architecture == "encoder-decoder" else []
        ids = [*student.source_head, *student.encode(prompt), *tail]
        return self._text_script(ids, decoding, sample)

    def question_script(self, question: str, decoding: Decoding, sample: int) -> ScriptMaker:
        """The chain of thought for a question. Raises ApiError where it is empty."""
        task = self.task
        assert task is not None, "only a student with a task answers questions"
        if not question.strip():
            raise ApiError(400, "The question is empty.", param="messages")
        return lambda on_segment: ChainScript(
            self.student, task, self.settings, decoding, question, sample, on_segment
        )

    def _text_student(self) -> Student:
        assert isinstance(self.student, Student), "a pair has a task"
        return self.student

    def _text_script(self, ids: Sequence[int], decoding: Decoding, sample: int) -> ScriptMaker:
        student = self._text_student()
        limit = MAX_SOURCE_TOKENS if student.max_source_tokens is None else None
        return lambda _: TextScript(student, ids, decoding, sample, limit)


def load_served(
    models: Sequence[str], *, task: str | None, device: str, dtype: str, batch_size: int
) -> list[ServedStudent]:
    """The students of these folders or names. `task`: of those that smallsteps did not train.

    Raises StudentError where there is no student, RecipeError where a model is named twice."""
    if len({os.path.realpath(Path(model).expanduser()) for model in models}) < len(models):
        raise RecipeError("a student is named twice. Name each once.")
    named = None if task is None else get_task(task)
    served = []
    for model, name in zip(models, served_names(models), strict=True):
        student = load(model, device=device, dtype=dtype)
        _call(student, name)
        if student.drive is not None:
            if named is not None and named.name != student.drive.task and student.drive.trained:
                raise StudentError(
                    f"{model} was trained for task {student.drive.task!r}, not {named.name!r}. "
                    "Leave --task out."
                )
            chosen: Task | None = get_task(student.drive.task)
        elif named is not None and isinstance(student, Student) and follows_instructions(student):
            chosen = zero_shot(named)
        else:
            chosen = named
        served.append(ServedStudent(name, student, chosen, batch_size))
    return served


def _call(student: Student | DualStudent, name: str) -> None:
    """Gives a student the name that clients know: messages to them show no folder of this
    machine."""
    student.name = name
    if isinstance(student, DualStudent):
        student.es.name, student.as_.name = f"{name}/es", f"{name}/as"


def find_served(students: Mapping[str, ServedStudent], name: str) -> ServedStudent:
    """The student that a client names. Raises ApiError, with the nearest name, where there is
    none."""
    if name not in students:
        meant = similar(name, students)
        raise ApiError(
            404,
            f"The model {name!r:.100} is not served here."
            f"{f' Did you mean {meant!r}?' if meant else ''} Served: {', '.join(students)}.",
            param="model",
            code="model_not_found",
        )
    return students[name]


def served_names(models: Sequence[str]) -> list[str]:
    """A short name for each: the last parts of its path, as many as tell it from the others. A
    checkpoint of a run has its arm in its name.

    >>> served_names(["runs/a/best", "runs/b/best", "smollm2"])
    ['a/best', 'b/best', 'smollm2']
    >>> served_names(["runs/mine/arms/direct-seed0/training/candidate-86"])
    ['direct-seed0/candidate-86']
    """
    parts = [_parts(model) for model in models]
    names = []
    for path in parts:
        shortest = 2 if len(path) > 1 and path[-1].startswith("candidate-") else 1
        for count in range(shortest, len(path) + 1):
            alike = [other for other in parts if other[-count:] == path[-count:]]
            if len(alike) == 1 or count == len(path):
                names.append("/".join(path[-count:]))
                break
    return names


def _parts(model: str) -> tuple[str, ...]:
    """The parts of a path; a name is one part."""
    if model in (".", ".."):
        return Path(model).resolve().parts
    if "/" in model or "\\" in model:
        parts = Path(model).expanduser().absolute().parts  # links keep their names
        return tuple(part for part in parts if part != "training")
    return (model,)
