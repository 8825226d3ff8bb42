"""How a student is asked that was never trained for the task.

A causal student with a chat template follows instructions: the prompt `zero-shot` tells it to think
step by step and how to close. All others read the question alone, as in training. Answers are read
off leniently (`SolveSettings.lenient`), because nobody taught the student the task's closing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smallsteps.errors import RecipeError
from smallsteps.records import Problem
from smallsteps.students.chat_templates import joined
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import Prompt, read_prompt

PROMPT = "zero-shot"


def follows_instructions(student: Student) -> bool:
    """Whether the student is a causal model with a chat template."""
    return student.architecture == "causal" and bool(student.tokenizer.chat_template)


def folder_follows_instructions(name: str | Path) -> bool:
    """`follows_instructions` of a model folder or hub name; its weights are not read."""
    files = ModelFiles.locate(name)
    return not files.config().is_encoder_decoder and bool(files.tokenizer().chat_template)


def zero_shot(task: Task, prompt: Prompt | None = None) -> Task:
    """The task with its questions put as the prompt puts them; None: the bundled `zero-shot`.

    Raises RecipeError where the prompt holds a worked example: a question is one message."""
    prompt = prompt or read_prompt(PROMPT)
    if any(role == "assistant" for role, _ in prompt.templates):
        raise RecipeError(
            f"prompt {prompt.name}: it holds a message [assistant]. Write one message [user]; "
            "worked examples are what the arm base-fewshot adds."
        )

    def render(problem: Problem) -> str:
        """The question; the gold answer is not at the prompt's disposal."""
        return joined(prompt.render(task, replace(problem, answer=None)))[0][1]

    return replace(task, render=render)
