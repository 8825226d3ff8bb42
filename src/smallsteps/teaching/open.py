"""Opens the teacher that a recipe or a command names: the exact solver, a file, a local model, or an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from smallsteps.errors import RecipeError
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import Decoding
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.teachers import FileTeacher, PromptedTeacher, Solver, Teacher

OPENAI = "https://api.openai.com/v1"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """What comes from the environment, never from a recipe; the key shows in no repr."""

    base_url: str | None = None
    """For teachers that name none."""
    key: str | None = None

    def __repr__(self) -> str:
        return f"Access(base_url={self.base_url!r}, key={'***' if self.key else None})"

    def key_for(self, url: str) -> str | None:
        """The key for `url`, None where there is none; a server on this machine needs none."""
        return self.key or ("none" if urlsplit(url).hostname in LOOPBACK else None)


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


def open_teacher(
    settings: TeacherSettings, task: Task, decoding: Decoding, budget: Budget, access: Access
) -> Teacher | PromptedTeacher:
    """The teacher; nothing is asked yet.

    Raises RecipeError for a prompt that is not there or a URL that is none; DataError for a file of replies that is
    none; StudentError for a folder without a model. A missing key shows in the forecast, as it is missed only where
    something has to be bought.
    """
    if settings.name == "solver":
        return Solver()
    if settings.name.endswith(".jsonl"):
        return FileTeacher.read(settings.name)
    initial, feedback, blind = (read_prompt(name) for name in (settings.initial, settings.feedback, settings.blind))
    if settings.base_url is None and Path(settings.name).is_dir():
        from smallsteps.generation.chat import LocalChat
        from smallsteps.students.student import load_student

        local = LocalChat(load_student(settings.name, device=settings.device), budget.store)
        return PromptedTeacher(settings.name, local, task, initial, feedback, decoding, blind)
    from smallsteps.generation.endpoint import Endpoint, EndpointSettings

    url = settings.base_url or access.base_url or OPENAI
    if urlsplit(url).scheme not in ("http", "https"):
        raise RecipeError(f"the teacher's base URL {url!r}: expected http://… or https://….")
    where = EndpointSettings(settings.name, url, settings.concurrency, settings.timeout)
    return PromptedTeacher(
        settings.name, Endpoint(where, budget, access.key_for(url)), task, initial, feedback, decoding, blind
    )
