"""Messages in the words of the command that is in use.

Most of the package names a setting by its key in a recipe (`data.feedback`), or a column by the
option `--columns`. `compare` has options for the commonest keys and `--set` for the others; `run`
has keys alone. Whatever an error names, the user reads what to type in this command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from smallsteps.errors import SmallstepsError
from smallsteps.experiment.recipe import Recipe

OPTIONS = {
    "data.chains": "CHAINS",
    "data.task": "--task",
    "data.columns": "--columns",
    "data.feedback": "--feedback",
    "student.name": "--student",
    "student.device": "--device",
    "train.budget": "--budget",
    "train.passes": "--passes",
    "arms": "--arms",
    "seeds": "--seeds",
}
"""Key of a recipe → the option of `compare` that sets it."""
_NAME = r"(?<![\w.\-/'\"=])"
"""Before a key: it is no part of a longer name, a path or a quotation."""


def in_options(message: str, changes: Sequence[str] = ()) -> str:
    """The message with the options of `compare` in place of keys. changes: what was typed with
    `--set`; these keys stay as they were typed.

    >>> in_options("data.feedback: x: no such file. Or set data.test=FILE")
    '--feedback: x: no such file. Or set --set data.test=FILE'
    """
    typed = {change.partition("=")[0] for change in changes}
    for key, option in OPTIONS.items():
        if key in typed:
            continue
        name = re.escape(key)
        # a key without a section is a common word, but in front of a message
        place = _NAME if "." in key else r"^(?:compare: )?"
        message = re.sub(rf"{place}{name}=", f"{option} ", message)
        message = re.sub(rf"{place}{name}(?=: )", option, message)
        if "." in key:
            message = re.sub(rf"{place}{name}(?![\w.=])", option, message)
    # lists are typed without brackets, and seeds as a number
    message = re.sub(r"Type for example arms=\[([^\]]*)\]", r"Type for example --arms \1", message)
    message = re.sub(r"Type for example seeds=\[[^\]]*\]", "Type for example --seeds 3", message)
    sections = "|".join(Recipe.model_fields)
    return re.sub(rf"(?<!--set ){_NAME}((?:{sections})(?:\.\w+)+=)", r"--set \1", message)


def in_keys(message: str) -> str:
    """The message with keys of a recipe in place of options.

    >>> in_keys("name its column: --columns rationale=COLUMN. Or add --task text")
    'name its column: data.columns.rationale=COLUMN. Or add data.task=text'
    """
    if "smallsteps compare" in message:  # a whole command to type
        return message
    message = re.sub(r"--columns ('?)(\w+)=", r"\1data.columns.\2=", message)
    for key, option in OPTIONS.items():
        if option.startswith("--"):
            message = re.sub(rf"{option} (?=[\w./-]+)", f"{key}=", message)
            message = re.sub(rf"{option}(?=[:.,]|$)", key, message)
    return message


@contextmanager
def errors_in(words: Callable[[str], str]) -> Iterator[None]:
    """Errors that are raised inside have their messages in these words."""
    try:
        yield
    except SmallstepsError as error:
        error.args = (words(str(error)),)
        raise
