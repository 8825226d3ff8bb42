"""Opens a model that answers messages: one on this machine, or one at an OpenAI-compatible URL.

Teachers and readers are opened here alike. Nothing is asked yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smallsteps.errors import RecipeError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import EngineSettings
from smallsteps.generation.settings import CallSettings
from smallsteps.students.gguf_header import is_gguf
from smallsteps.students.run_student import folders_beside, runs_beside
from smallsteps.students.settings import SMOLLM2

if TYPE_CHECKING:
    from smallsteps.generation.chat import LocalChat
    from smallsteps.generation.endpoint import Endpoint


def open_chat(
    settings: CallSettings,
    budget: Budget,
    access: Access,
    role: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 16,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> LocalChat | Endpoint:
    """The model that `settings` name. `role`: teacher or reader, for messages. `device`, `dtype`,
    `batch_size`: of a local model. `folder`: of a model that this run made. `say` receives a line
    when it waits for a server.

    Raises RecipeError for an invalid URL or a path where nothing is; StudentError for a folder
    without a model. A missing key shows in the forecast: it is needed only where something is to be
    bought."""
    local = folder or (settings.name if is_local(settings) else None)
    if local is not None:  # imported here: a served model needs no torch
        from smallsteps.generation.chat import LocalChat
        from smallsteps.students.loading import load_student
        from smallsteps.students.run_student import student_place

        student = load_student(student_place(local, say), device=device, dtype=dtype)
        engine = EngineSettings(batch_size=batch_size)
        return LocalChat(student, budget.store, engine, settings.thinking)
    from smallsteps.generation.endpoint import Endpoint

    url = served_url(settings, access, role)
    return Endpoint(settings.changed(base_url=url), budget, access.key_for(url), say)


PATH_STARTS, PATH_ENDS = ("/", "./", "../", "~"), ("/", ".gguf", ".safetensors", ".json", ".txt")
"""How a name begins or ends that is a path and no model's."""


def is_local(settings: CallSettings) -> bool:
    """Whether the model is on this machine: a folder, a GGUF file, or `smollm2`. A base URL of its
    own says that it is served, whatever its name."""
    path = Path(settings.name)
    named = settings.name == SMOLLM2 or path.is_dir() or is_gguf(path)
    return settings.base_url is None and named


def served_url(settings: CallSettings, access: Access, role: str) -> str:
    """The checked URL of a served model. Raises RecipeError for an invalid one, and where the name
    is written as a path and nothing is there: no server of strangers is asked for it. A server of
    the user's own may call its model by a path."""
    elsewhere = settings.base_url or access.base_url
    name = settings.name
    is_path = name.startswith(PATH_STARTS) or name.endswith(PATH_ENDS)
    if elsewhere is None and (is_path or ("/" in name and runs_beside(name))):
        raise RecipeError(
            f"the {role} {name}: no such file or folder.{folders_beside(name)} "
            "Correct the path, or name a model and its --base-url."
        )
    return access.url_for(settings.base_url, role)
