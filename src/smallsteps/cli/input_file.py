"""A file of rows that a command reads, with the task and the column names that make it readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smallsteps.tasks.base import Task
from smallsteps.tasks.spoken import task_for


@dataclass(frozen=True)
class InputFile:
    """A file of rows."""

    path: Path
    task_name: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our field name → the file's, where they differ."""

    def task(self, say: Callable[[str], None]) -> Task:
        """The task in the language of the file. say: receives a line where the language was
        guessed. Raises RecipeError for an unknown task, DataError where the file cannot be
        read."""
        return task_for(self.task_name, [self.path], self.columns, say=say)
