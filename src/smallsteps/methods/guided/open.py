"""Opens the reader that a recipe or a command names: a folder, or a model at an OpenAI-compatible
URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.completion import Thinking
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.methods.guided.reader import Reader
from smallsteps.methods.guided.reward import Likelihood
from smallsteps.tasks.base import Task
from smallsteps.teaching.open import check_no_path
from smallsteps.teaching.prompts import read_prompt


@dataclass(frozen=True)
class ReaderSettings:
    """Who reads and how it is asked."""

    name: str
    """A model at `base_url`, or a folder of a model."""
    base_url: str | None = None
    guided: str = "read"
    """Prompts: bundled names or files."""
    standard: str = "standard"
    cot: str = "cot"
    max_new_tokens: int = 32
    concurrency: int = 32
    timeout: float = 120.0
    device: str = "auto"
    batch_size: int = 16
    """Of a folder."""
    patience: float = 900.0
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    thinking: Thinking = "drop"
    """What of a reply with a thought is the reply."""


@dataclass(frozen=True)
class Opened:
    """A reader, and its likelihoods where its weights are here."""

    reader: Reader
    likelihood: Likelihood | None = None


def open_reader(
    words: ReaderSettings,
    task: Task,
    budget: Budget,
    access: Access,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Opened:
    """The reader; nothing is asked yet. `folder`: of a model that was trained for it. `say` gets a
    line where it waits for a server.

    Raises RecipeError for a prompt that is not there, a URL that is none, or a missing key;
    StudentError for a folder without a model."""
    prompts = {
        "guided": read_prompt(words.guided),
        "standard": read_prompt(words.standard),
        "cot": read_prompt(words.cot),
    }
    decoding = Decoding(words.max_new_tokens)
    place = folder or (
        Path(words.name) if words.base_url is None and Path(words.name).is_dir() else None
    )
    if place is not None:
        from smallsteps.generation.chat import LocalChat
        from smallsteps.students.loading import load_student

        student = load_student(place, device=words.device)
        chat = LocalChat(
            student,
            budget.store,
            EngineSettings(batch_size=words.batch_size),
            thinking=words.thinking,
        )
        return Opened(
            Reader(words.name, chat, task, **prompts, decoding=decoding), Likelihood(student)
        )
    from smallsteps.generation.endpoint import Endpoint, EndpointSettings

    check_no_path(words.name, words.base_url or access.base_url, "reader")
    url = access.url_for(words.base_url, "reader")
    where = EndpointSettings(
        words.name,
        url,
        words.concurrency,
        words.timeout,
        patience=words.patience,
        extra_body=words.extra_body,
        thinking=words.thinking,
    )
    endpoint = Endpoint(where, budget, access.key_for(url), say)
    return Opened(Reader(words.name, endpoint, task, **prompts, decoding=decoding))
