"""The error tree.

    SmallstepsError
    ├── UserError            the user can fix it: printed without a traceback, exit code 2
    │   ├── DataError        a file, a row or a record is invalid
    │   ├── RecipeError      a recipe or an option has an invalid value
    │   ├── StudentError     a model folder or tokenizer cannot be used as a student
    │   ├── TeacherError     a server cannot be used: wrong key, wrong model, spent budget
    │   ├── TrainingError    the examples cannot be trained on
    │   │   └── DivergenceError  the loss is no number any more
    │   ├── RunFolderError   an output folder belongs to something else, or is damaged
    │   └── UploadError      the Hub cannot be reached, or refuses an upload
    └── InternalError        a bug of smallsteps, exit code 1

Every message says what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SmallstepsError(Exception):
    """Base of every error that smallsteps raises."""

    exit_code = 1


class UserError(SmallstepsError):
    """The user can fix it. The message says how."""

    exit_code = 2


class DataError(UserError):
    """A file, a row or a record is invalid."""


class RecipeError(UserError):
    """A recipe or an option has an invalid value."""


class StudentError(UserError):
    """A model folder or tokenizer cannot be used as a student."""


class TeacherError(UserError):
    """A server cannot be used: wrong key, wrong model, spent budget."""


class TrainingError(UserError):
    """The examples cannot be trained on."""


class DivergenceError(TrainingError):
    """Training diverged: the loss is no number any more."""


class RunFolderError(UserError):
    """An output folder belongs to something else, or is damaged."""


class UploadError(UserError):
    """The Hub cannot be reached, or refuses an upload."""


class InternalError(SmallstepsError):
    """A bug of smallsteps. Please report it."""


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 round`, `2 rounds`, `1,000 rounds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


MAX_LISTED = 40
"""Maximum number of known names in a message; of a longer list the five most similar are named."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known name, and all of
    them.

    >>> nearest("beto", ["beta", "budget"])
    " Did you mean 'beta'? Known: beta, budget."
    """
    known_names = sorted(known)
    similar = get_close_matches(name, known_names, n=1, cutoff=0.5)
    hint = f" Did you mean {similar[0]!r}?" if similar else ""
    if len(known_names) <= MAX_LISTED:
        return f"{hint} Known: {', '.join(known_names)}."
    closest = get_close_matches(name, known_names, n=5, cutoff=0.0)
    return f"{hint} Known, among {len(known_names)}: {', '.join(closest)}."
