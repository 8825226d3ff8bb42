"""The error tree.

    SmallstepsError
    ├── UserError            the user can fix it: printed without a traceback, exit code 2
    │   ├── DataError        a file, a row or a record is invalid
    │   ├── RecipeError      a recipe or an option has an invalid value
    │   ├── StudentError     a model folder or tokenizer cannot be used as a student
    │   ├── TeacherError     a server cannot be used: wrong key, wrong model, spent budget
    │   ├── EngineError      the server of an engine does not start, ends, or refuses a request
    │   ├── TrainingError    the examples cannot be trained on
    │   │   └── DivergenceError  the loss is no number any more
    │   ├── MachineError     the machine fails below the work: the same command goes on
    │   │   ├── DeviceError        a GPU fails or is gone while it is used
    │   │   ├── DeviceMemoryError  a GPU has too little memory
    │   │   └── DiskError          a disk is full, or refuses a file
    │   ├── RunFolderError   an output folder belongs to something else, or is damaged
    │   └── UploadError      the Hub cannot be reached, or refuses an upload
    └── InternalError        a bug of smallsteps, exit code 1

Every message says what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


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


class EngineError(UserError):
    """The server of an engine does not start, ends, or refuses a request."""


class TrainingError(UserError):
    """The examples cannot be trained on."""


class DivergenceError(TrainingError):
    """Training diverged: the loss is no number any more."""


class MachineError(UserError):
    """The machine fails below the work. What is done is kept: the same command goes on."""


class DeviceError(MachineError):
    """A GPU fails or is gone while it is used."""


class DeviceMemoryError(MachineError):
    """A GPU has too little memory."""


class DiskError(MachineError):
    """A disk is full, or refuses a file."""


class RunFolderError(UserError):
    """An output folder belongs to something else, or is damaged."""


class UploadError(UserError):
    """The Hub cannot be reached, or refuses an upload."""


class InternalError(SmallstepsError):
    """A bug of smallsteps. Please report it."""


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 round`, `2 rounds`, `1,000 rounds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def json_fault(error: json.JSONDecodeError, line: bool = True) -> str:
    """What is wrong with a JSON text, and where. line: name the line too, where it has several.

    >>> try:
    ...     json.loads('{"id": "1')
    ... except json.JSONDecodeError as error:
    ...     json_fault(error)
    'Unterminated string at column 8'
    """
    what = error.msg.removesuffix(" at").removesuffix(" starting")
    named = f"line {error.lineno}, " if line and "\n" in error.doc.strip() else ""
    return f"{what} at {named}column {error.colno}"


LEAST_LIKENESS = 0.7
"""Of the letters of two names, the share that must be common for one to be taken for the other."""


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant by `name`; None: none is like it.

    Capitals and separators do not count; initials and beginnings do.

    >>> similar("lr", ["learning_rate", "layers"]), similar("Batch-Size", ["batch_size"])
    ('learning_rate', 'batch_size')
    >>> similar("chars", ["bytes", "characters"])
    'characters'
    >>> similar("cot", ["correct", "context"]) is None
    True
    """
    best: tuple[float, str] | None = None
    typed = _letters(name)
    for other in sorted(known):
        likeness = _likeness(typed, other)
        if likeness >= LEAST_LIKENESS and (best is None or likeness > best[0]):
            best = likeness, other
    return None if best is None else best[1]


def _letters(name: str) -> str:
    return name.casefold().translate(dict.fromkeys(map(ord, "-_ "), None))


def _likeness(typed: str, other: str) -> float:
    """How like a known name is to what was typed, from 0 to 1."""
    letters = _letters(other)
    parts = other.casefold().replace("-", "_").split("_")
    if typed == letters or (len(parts) > 1 and typed == "".join(part[:1] for part in parts)):
        return 1.0
    shorter, longer = sorted((typed, letters), key=len)
    ratio = SequenceMatcher(None, typed, letters).ratio()
    beginning = shorter.removesuffix("s")
    if len(beginning) >= 3 and longer.startswith(beginning):
        return max(ratio, 0.8)
    # two names of very different lengths have letters in common by chance
    return ratio if len(longer) - len(shorter) <= max(2, len(shorter) // 2) else 0.0


def similar_file(name: str, names: Iterable[str]) -> str | None:
    """The file of `names` that was most likely meant by `name`; None: none is like it. The endings
    that many files share do not count.

    >>> similar_file("gold.jsonl", ["solo.jsonl", "Gold.json"])
    'Gold.json'
    >>> similar_file("answers.jsonl", ["chains.jsonl"]) is None
    True
    """
    by_stem: dict[str, list[str]] = {}
    for file in sorted(names):
        by_stem.setdefault(file.partition(".")[0], []).append(file)
    stem, _, ending = name.partition(".")
    closest = similar(stem, [known for known in by_stem if known])
    if closest is None:
        return None
    return max(by_stem[closest], key=lambda file: file.endswith(ending))


MAX_LISTED = 40
"""Maximum number of known names in a message; of a longer list the five most similar are named."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known name, and all of
    them.

    >>> nearest("beto", ["beta", "budget"])
    " Did you mean 'beta'? Known: beta, budget."
    """
    known_names = sorted(known)
    meant = similar(name, known_names)
    hint = f" Did you mean {meant!r}?" if meant is not None else ""
    if len(known_names) <= MAX_LISTED:
        return f"{hint} Known: {', '.join(known_names)}."
    closest = get_close_matches(name, known_names, n=5, cutoff=0.0)
    return f"{hint} Known, among {len(known_names)}: {', '.join(closest)}."
