"""Tasks: how questions are put, how chains end, how answers are read and graded; and the readers of
data files."""

from __future__ import annotations

from smallsteps.errors import RecipeError, nearest
from smallsteps.tasks.base import STOP_TOKEN, Task
from smallsteps.tasks.choice import COMMONSENSEQA
from smallsteps.tasks.free_text import TEXT
from smallsteps.tasks.languages import LANGUAGES
from smallsteps.tasks.multihop import FACTS, HOTPOTQA, HOTPOTQA_GOLD, TWOWIKI, TWOWIKI_GOLD
from smallsteps.tasks.reports import PET
from smallsteps.tasks.stories import TASK as STORIES
from smallsteps.tasks.word_problems import ASDIV, GSM8K, MULTIARITH, NUMBERS, SVAMP
from smallsteps.tasks.yes_no import STRATEGYQA

_WORDS = (NUMBERS, TEXT, STORIES, GSM8K, SVAMP, ASDIV, MULTIARITH, COMMONSENSEQA, STRATEGYQA, PET)
_WITH_CONTEXT = (HOTPOTQA, HOTPOTQA_GOLD, TWOWIKI, TWOWIKI_GOLD, FACTS)

TASKS: dict[str, Task] = {task.name: task for task in (*_WORDS, *_WITH_CONTEXT)}
"""Every task by name. To add one, write a module that builds a `Task` and add it here."""


def get_task(name: Task | str) -> Task:
    """The task of that name, or of the name and a language (`numbers-zh`); a task itself comes back
    as it is. Raises RecipeError, with the nearest name, where there is none."""
    if isinstance(name, Task):
        return name
    bare, _, code = name.rpartition("-")
    if name not in TASKS and bare in TASKS and code in LANGUAGES:
        return TASKS[bare].in_language(code)
    if name not in TASKS:
        raise RecipeError(f"no task {name!r}.{nearest(name, TASKS)}")
    return TASKS[name]


__all__ = ["STOP_TOKEN", "TASKS", "Task", "get_task"]
