"""The error tree.

    SmallstepsError
    ├── UserError            the user can fix it: printed without traceback, exit code 2
    │   ├── DataError        a file, a line or a record is not what it should be
    │   ├── RecipeError      a recipe or an option says something that cannot be done
    │   ├── StudentError     a model folder or a tokenizer cannot serve
    │   ├── TeacherError     an endpoint cannot be asked as things stand
    │   ├── TrainingError    the examples cannot be trained on as they stand
    │   └── RunFolderError   an output folder belongs to something else or is damaged
    └── InternalError        a promise of our own is broken: a bug, exit code 1

Every message says what was expected, what came, where, and what to type next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SmallstepsError(Exception):
    """Base of every error that smallsteps raises on purpose."""

    exit_code = 1


class UserError(SmallstepsError):
    """The user can fix it; the message says how."""

    exit_code = 2


class DataError(UserError):
    """A file, a line or a record is not what it should be."""


class RecipeError(UserError):
    """A recipe or an option says something that cannot be done."""


class StudentError(UserError):
    """A model folder or a tokenizer cannot serve as a student."""


class TeacherError(UserError):
    """An endpoint cannot be asked as things stand."""


class TrainingError(UserError):
    """The examples cannot be trained on as they stand."""


class RunFolderError(UserError):
    """An output folder belongs to something else or is damaged."""


class InternalError(SmallstepsError):
    """A promise of our own is broken; please report it."""


def counted(count: int, noun: str) -> str:
    """`1 round`, `2 rounds`, `1,000 rounds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: `` Did you mean 'beta'? `` and the list of known words."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Known: {', '.join(words)}."
