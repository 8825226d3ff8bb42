"""Opens the teacher that a recipe or a command names: the exact solver, a file, a local model, or
an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.errors import RecipeError
from smallsteps.generation.access import LOOPBACK, Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.completion import Thinking, check_thinking
from smallsteps.generation.generator import Decoding
from smallsteps.tasks.base import Task
from smallsteps.teaching.lessons import Teacher
from smallsteps.teaching.prompted import PromptedTeacher
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.reply_file import FileTeacher
from smallsteps.teaching.story_solver import StorySolver

__all__ = ["LOOPBACK", "Access", "TeacherSettings", "open_teacher"]


@dataclass(frozen=True)
class TeacherSettings:
    """Which teacher, asked how."""

    name: str
    base_url: str | None = None
    initial: str = "initial"
    feedback: str = "feedback"
    blind: str = "blind"
    concurrency: int = 32
    timeout: float = 120.0
    device: str = "auto"
    patience: float = 900.0
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    thinking: Thinking = "drop"
    """What of a reply with a thought is the reply."""


def check_no_path(name: str, base_url: str | None, role: str) -> None:
    """Raises RecipeError where `name` is written as a path and nothing is there: no server of
    strangers is asked for it. A server of the user's own may call its model by a path."""
    if base_url is None and name.startswith(("/", "./", "../", "~")):
        raise RecipeError(
            f"the {role} {name}: no such file or folder. Correct the path, or name a model and its --base-url."
        )


def open_teacher(
    settings: TeacherSettings,
    task: Task,
    decoding: Decoding,
    budget: Budget,
    access: Access,
    say: Callable[[str], None] | None = None,
) -> Teacher:
    """The teacher; nothing is asked yet. `say` gets a line where it waits for a server.

    Raises RecipeError for a prompt that is not there or a URL that is none; DataError for a file of
    replies that is none; StudentError for a folder without a model. A missing key shows in the
    forecast, as it is missed only where something has to be bought."""
    check_thinking(settings.thinking)
    if settings.name == "solver":
        return StorySolver()
    if settings.name.endswith(".jsonl") or (
        settings.base_url is None and Path(settings.name).is_file()
    ):
        return FileTeacher.read(settings.name, settings.thinking)
    initial, feedback, blind = (
        read_prompt(name) for name in (settings.initial, settings.feedback, settings.blind)
    )
    if settings.base_url is None and Path(settings.name).is_dir():
        from smallsteps.generation.chat import LocalChat
        from smallsteps.students.loading import load_student

        student = load_student(settings.name, device=settings.device)
        local = LocalChat(student, budget.store, thinking=settings.thinking)
        return PromptedTeacher(settings.name, local, task, initial, feedback, decoding, blind)
    from smallsteps.generation.endpoint import Endpoint, EndpointSettings

    check_no_path(settings.name, settings.base_url or access.base_url, "teacher")
    url = access.url_for(settings.base_url, "teacher")
    where = EndpointSettings(
        settings.name,
        url,
        settings.concurrency,
        settings.timeout,
        patience=settings.patience,
        extra_body=settings.extra_body,
        thinking=settings.thinking,
    )
    endpoint = Endpoint(where, budget, access.key_for(url), say)
    return PromptedTeacher(settings.name, endpoint, task, initial, feedback, decoding, blind)
