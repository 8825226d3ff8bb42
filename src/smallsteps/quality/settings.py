"""Settings of the judge that measures aspects: words, a model of natural-language inference, or a
chat model."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from smallsteps.config import Count, Name
from smallsteps.generation.settings import CallSettings

LEXICAL = "lexical"
ENDPOINT = "endpoint:"
LOCAL = "local:"


class JudgeSettings(CallSettings):
    """What judges, and, of a chat model, where it is and what may be spent on it."""

    name: Name = LEXICAL
    """`lexical`; a model of natural-language inference, by name or folder; `endpoint:MODEL`, a chat
    model at `base_url`; `local:FOLDER`, a chat model on this machine."""
    prompts: Name | None = None
    """Folder of prompt files, `factuality.txt` and the like; aspects without a file have the
    bundled prompt."""
    max_new_tokens: Count = Field(64)
    """Maximum new tokens of a rating."""

    @property
    def is_chat(self) -> bool:
        """Whether a chat model judges, served or local."""
        return self.name.startswith((ENDPOINT, LOCAL))

    @property
    def model(self) -> str:
        """The name without `endpoint:` or `local:`."""
        return self.name.removeprefix(ENDPOINT).removeprefix(LOCAL)

    @field_validator("name", mode="after")
    @classmethod
    def _names_a_model(cls, name: Any) -> Any:
        if name in (ENDPOINT, LOCAL):
            example = f"{ENDPOINT}MODEL" if name == ENDPOINT else f"{LOCAL}FOLDER"
            raise ValueError(f"{name} names no model. Type {example}.")
        return name
