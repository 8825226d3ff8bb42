"""Opens the teacher that a recipe or a command names: the exact solver, a file, a local model, or
an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat_models import is_local, open_chat
from smallsteps.generation.generator import Decoding
from smallsteps.tasks.base import Task
from smallsteps.teaching.lessons import Teacher
from smallsteps.teaching.prompted import PromptedTeacher
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.reply_file import FileTeacher
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.teaching.story_solver import StorySolver


def open_teacher(
    settings: TeacherSettings,
    task: Task,
    budget: Budget,
    access: Access,
    say: Callable[[str], None] | None = None,
    *,
    device: str = "auto",
    seed: int = 0,
) -> Teacher:
    """The teacher; nothing is asked yet. `say` receives a line when it waits for a server.
    `device`: of a local model. `seed`: of sampling.

    Raises RecipeError for a missing prompt or an invalid URL; DataError for an invalid file of
    replies; StudentError for a folder without a model. A missing key shows in the forecast, as it
    is needed only where something has to be bought."""
    if settings.name == "solver":
        return StorySolver()
    if settings.name.endswith(".jsonl") or (
        settings.base_url is None and Path(settings.name).is_file() and not is_local(settings)
    ):
        return FileTeacher.read(settings.name, settings.thinking, settings.corrections)
    initial, feedback, blind = (
        read_prompt(name) for name in (settings.initial, settings.feedback, settings.blind)
    )
    chat = open_chat(settings, budget, access, "teacher", device=device, say=say)
    decoding = Decoding(
        max_new_tokens=settings.max_new_tokens, temperature=settings.temperature, seed=seed
    )
    return PromptedTeacher(settings.name, chat, task, initial, feedback, decoding, blind)
