"""A task in the language of its data: as the user names it, else guessed from the first rows, and
said in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from smallsteps.errors import RecipeError, nearest
from smallsteps.tasks import TASKS, get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import identified
from smallsteps.tasks.languages import LANGUAGES, guess

ROWS = 200
"""Of each file that are looked at."""


def task_for(
    name: str,
    paths: Sequence[str | Path],
    columns: Mapping[str, str] | None = None,
    language: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Task:
    """The task `name` in `language`; None: in the language that the files seem to be written in,
    unless the name says one (`numbers-en`). `say` receives what was guessed, where it is not
    English.

    Raises RecipeError on an unknown task or language, DataError where a file cannot be read.
    """
    task = get_task(name)
    if language is not None:
        if language not in LANGUAGES:
            raise RecipeError(f"no language {language!r}.{nearest(language, LANGUAGES)}")
        return task.in_language(language)
    if name not in TASKS or task.language != "en" or task.closing is None:
        return task
    code = guess(text for path in paths for text in _texts(path, task, columns or {}))
    if code == "en":
        return task
    if say is not None:
        say(
            f"language: {LANGUAGES[code].name} ({code}), guessed; the task becomes {name}-{code}. "
            f"If that is wrong, name the task {name}-en."
        )
    return task.in_language(code)


def _texts(path: str | Path, task: Task, columns: Mapping[str, str]) -> Iterator[str]:
    for _, _, row in islice(identified(path, task, columns), ROWS):
        yield from (
            value for name in ("question", "rationale") if isinstance(value := row.get(name), str)
        )
