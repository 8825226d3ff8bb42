"""Whether an output can be written: asked before any expensive work.

`check_output` is for files (`--out`, `--rows`, `--store`), `check_output_folder` for run folders.
Both leave nothing behind. The rows themselves are written at the end, all or nothing, by
`tasks.files.write_rows`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from smallsteps.errors import DataError, RecipeError

PROBE_BYTES = 4096
"""Written and taken back: a full disk still lets an empty file be made."""


def check_output(
    path: str | Path, flag: str = "--out", inputs: Iterable[str | Path | None] = ()
) -> None:
    """Raises RecipeError where `path` cannot become a file, or is one of `inputs` (also by another
    name or link).

    inputs: files and model folders that are read; no existing file inside such a folder is
    replaced. Names that are no paths (a model of the hub) do no harm; None is left out."""
    path = Path(path)
    with _explained(path, flag):
        target = path.resolve()
        if path.is_dir() or target.is_dir():
            raise RecipeError(
                f"{flag} {path}: a folder. Name a file in it, for example {path / 'out.jsonl'}"
            )
        if (target.exists() and not target.is_file()) or _is_stream(path):
            raise RecipeError(f"{flag} {path}: a device or a pipe, not a file. Name a file.")
        if target.exists() and not os.access(target, os.W_OK):
            raise RecipeError(f"{flag} {path}: the file there is read-only. Name another file.")
        for source in inputs:
            if source:  # an empty name is no path, though it would name this folder
                _check_apart(path, target, Path(source), flag)
        _probe(target.parent, target.name)


def _is_stream(path: Path) -> bool:
    """Whether `path` names an open file of a process: its target may look like a plain file, which
    a rename would replace. Other places below /dev, such as /dev/shm, are folders like any
    other."""
    name = os.path.abspath(path)  # noqa: PTH100 - links must not be followed
    return name in ("/dev/stdin", "/dev/stdout", "/dev/stderr") or name.startswith(
        ("/dev/fd/", "/proc/self/fd/")
    )


def check_output_folder(path: str | Path, flag: str = "--out") -> None:
    """Raises RecipeError where `path` can neither be made nor written into. What a folder holds is
    not looked at."""
    path = Path(path)
    with _explained(path, flag):
        target = path.resolve()
        if target.exists() and not target.is_dir():
            raise RecipeError(f"{flag} {path}: a file. Name a folder.")
        _probe(target, "run.json")


def _check_apart(path: Path, target: Path, source: Path, flag: str) -> None:
    """Refuses `target` where it is the input `source`, or a file of the model folder `source`."""
    try:
        source = source.expanduser().resolve()
        same = target == source or (target.exists() and source.exists() and target.samefile(source))
        inside = target.exists() and source.is_dir() and target.is_relative_to(source)
    except (OSError, ValueError):  # a hub name or a text: no path at all
        return
    if same:
        raise RecipeError(f"{flag} {path}: the same file as the input {source}. Name another file.")
    if inside:
        raise RecipeError(f"{flag} {path}: a file of the model folder {source}. Name another file.")


@contextlib.contextmanager
def taking_back_folders(folder: Path) -> Iterator[None]:
    """Makes `folder` and takes it and its new parents away again where they are empty in the
    end."""
    made = []
    parent = folder
    while not parent.exists():
        made.append(parent)
        parent = parent.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()


def _probe(folder: Path, name: str) -> None:
    """Makes `folder` and a neighbour of the output, writes to it, and takes all of it away
    again."""
    # the longest name that writing needs, so that one that is too long is noticed now
    with taking_back_folders(folder):
        handle, probe = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            Path(probe).unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path, flag: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise RecipeError(
            f"{flag} {_short(path)}: cannot be written ({reason(error)}). Name another one."
        ) from None


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns a failure to write (disk full, folder gone) into a DataError that names `path`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{_short(Path(path))}: could not be written ({reason(error)}). What was there before is unchanged."
        ) from None


def reason(error: BaseException) -> str:
    """Why, in the system's words, without the path.

    >>> reason(OSError(28, "No space left on device", "x"))
    'no space left on device'
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _short(path: Path, length: int = 120) -> str:
    text = str(path)
    return text if len(text) <= length else f"{text[: length // 2]}…{text[-length // 2 :]}"
