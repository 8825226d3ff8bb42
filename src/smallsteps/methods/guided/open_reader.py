"""Opens the reader that a recipe or a command names: a folder, or a model at an OpenAI-compatible
URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat import LocalChat
from smallsteps.generation.chat_models import open_chat
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.config import ReaderSettings
from smallsteps.methods.guided.reader import Reader
from smallsteps.methods.guided.reward import Likelihood
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import read_prompt


@dataclass(frozen=True)
class OpenReader:
    """A reader, and its likelihoods where its weights are here."""

    reader: Reader
    likelihood: Likelihood | None = None


def open_reader(
    settings: ReaderSettings,
    task: Task,
    budget: Budget,
    access: Access,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 16,
) -> OpenReader:
    """The reader; no call is made yet. `folder`: of a reader that this run trained. `say` receives
    a line when the reader waits for a server. `device`, `dtype`, `batch_size`: of a local model.

    Raises RecipeError for a missing prompt or an invalid URL; StudentError for a folder without a
    model."""
    prompts = {name: read_prompt(getattr(settings, name)) for name in ("guided", "standard", "cot")}
    chat = open_chat(
        settings,
        budget,
        access,
        "reader",
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        folder=folder,
        say=say,
    )
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)
    reader = Reader(settings.name, chat, task, **prompts, decoding=decoding)
    return OpenReader(reader, Likelihood(chat.student) if isinstance(chat, LocalChat) else None)
