"""Settings of a teacher."""

from __future__ import annotations

from pydantic import Field

from smallsteps.config import Count, Name, TemperatureOrZero
from smallsteps.generation.settings import CallSettings


class TeacherSettings(CallSettings):
    """Who explains, and how it is asked."""

    name: Name = "solver"
    """A model at `base_url`, a folder of a model, a GGUF file, `smollm2`, a .jsonl file of replies
    bought elsewhere (`id`, `rationale`, `attempt`), or `solver`, the exact solver of the bundled
    word problems."""
    corrections: Name | None = None
    """Where `name` is a file: a second file of chains for the same questions, for example those of
    another model. They answer any mistake of their question, and are its further samples."""
    initial: Name = "initial"
    """Prompt for a question: a bundled name or a file."""
    feedback: Name = "feedback"
    """Prompt for a question and a wrong rationale."""
    blind: Name = "blind"
    """Prompt of the arm `blind`: as `feedback`, without the wrong rationale."""
    temperature: TemperatureOrZero = 0.7
    """Of sampling; 0: greedy."""
    max_new_tokens: Count = 512
    """Maximum length of a reply, in tokens."""
    retries: int = Field(1, ge=0, le=1000)
    """Further requests for a question whose reply was dropped."""
