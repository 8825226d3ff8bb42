"""Whether an output can be written, checked before any expensive work.

`check_output` is for files (`--out`, `--rows`, `--store`), `check_output_folder` for run folders.
Both leave nothing behind. The file itself is written at the end, all or nothing, by
`disk.atomic_file`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from smallsteps.disk import draft_beside
from smallsteps.errors import DataError, RecipeError

PROBE_BYTES = 4096
"""Bytes of the file that is written as a test: a full disk still lets an empty file be made."""
MAX_PATH_LENGTH = 120
"""Maximum length, in characters, of a path in a message."""


def check_output(
    path: str | Path, flag: str = "--out", inputs: Iterable[str | Path | None] = ()
) -> None:
    """Raises RecipeError where `path` cannot become a file, or is an input under any name or link.

    flag: the option that named the path. inputs: files and model folders that are read; no existing
    file inside such a folder may be replaced. None and names that are no paths (a model of the hub)
    are ignored.
    """
    path = Path(path)
    with _cannot_be_written(path, flag):
        target = path.resolve()
        if path.is_dir() or target.is_dir():
            raise RecipeError(
                f"{flag} {path}: a folder. Name a file in it, for example {path / 'out.jsonl'}"
            )
        if (target.exists() and not target.is_file()) or _is_stream(path):
            raise RecipeError(f"{flag} {path}: a device or a pipe, not a file. Name a file.")
        if target.exists() and not os.access(target, os.W_OK):
            raise RecipeError(f"{flag} {path}: the file is read-only. Name another file.")
        for source in inputs:
            if source:  # an empty name would mean the current folder
                _check_is_not_input(path, target, Path(source), flag)
        _probe(target)


def check_output_folder(path: str | Path, flag: str = "--out") -> None:
    """Raises RecipeError where `path` can neither be made nor written into.

    Does not look at what the folder contains.
    """
    path = Path(path)
    with _cannot_be_written(path, flag):
        target = path.resolve()
        if target.exists() and not target.is_dir():
            raise RecipeError(f"{flag} {path}: a file. Name a folder.")
        _probe(target / "run.json")


def _is_stream(path: Path) -> bool:
    """Whether `path` names an open file of a process.

    What it points to may look like a plain file, which a rename would replace. Other places below
    /dev, such as /dev/shm, are folders like any other.
    """
    name = os.path.abspath(path)  # noqa: PTH100 - links must not be followed
    return name in ("/dev/stdin", "/dev/stdout", "/dev/stderr") or name.startswith(
        ("/dev/fd/", "/proc/self/fd/")
    )


def _check_is_not_input(path: Path, target: Path, source: Path, flag: str) -> None:
    """Refuses `target` where it is the input `source`, or a file of the model folder `source`."""
    try:
        source = source.expanduser().resolve()
        same = target == source or (target.exists() and source.exists() and target.samefile(source))
        inside = target.exists() and source.is_dir() and target.is_relative_to(source)
    except (OSError, ValueError):  # a hub name or a question: no path at all
        return
    if same:
        raise RecipeError(f"{flag} {path}: the same file as the input {source}. Name another file.")
    if inside:
        raise RecipeError(f"{flag} {path}: a file of the model folder {source}. Name another file.")


@contextlib.contextmanager
def temporary_folders(folder: Path) -> Iterator[None]:
    """Makes `folder` and those above it; at the end, removes those of the new ones that are
    empty."""
    new_folders = []
    parent = folder
    while not parent.exists():
        new_folders.append(parent)
        parent = parent.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for place in new_folders:
            with contextlib.suppress(OSError):
                place.rmdir()


def _probe(path: Path) -> None:
    """Writes a draft beside `path`, in a new folder where there is none, and removes both."""
    with temporary_folders(path.parent):
        draft = draft_beside(path)
        try:
            with draft.open("xb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _cannot_be_written(path: Path, flag: str) -> Iterator[None]:
    """Turns an error of the operating system into a RecipeError that names flag and path."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise RecipeError(
            f"{flag} {_shortened(path)}: cannot be written ({reason(error)}). Name another one."
        ) from None


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns a failure to write (disk full, folder deleted) into a DataError that names `path`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{_shortened(Path(path))}: could not be written ({reason(error)}). A file that was "
            "there before is unchanged."
        ) from None


def reason(error: BaseException) -> str:
    """Why, in the operating system's words, without the path.

    >>> reason(OSError(28, "No space left on device", "x"))
    'no space left on device'
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _shortened(path: Path) -> str:
    text, half = str(path), MAX_PATH_LENGTH // 2
    return text if len(text) <= MAX_PATH_LENGTH else f"{text[:half]}…{text[-half:]}"
