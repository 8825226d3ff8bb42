"""The user's cache of converted models: each is made once, whole or not at all.

Two processes that want the same model at once make it one after the other; the second one finds it
made. A kill leaves nothing that counts as a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from smallsteps.disk import atomic_folder, is_draft, read_manifest, seal
from smallsteps.errors import StudentError
from smallsteps.lock import waiting

VARIABLE = "SMALLSTEPS_CACHE"
"""Environment variable: the folder of the cache."""

MANIFEST = "manifest.json"


def cache_folder() -> Path:
    """SMALLSTEPS_CACHE; else `smallsteps` below XDG_CACHE_HOME or, on Windows, LOCALAPPDATA; else
    ~/.cache/smallsteps."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or (
        os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
    )
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "smallsteps"


def model_folder(name: str) -> Path:
    """Where the model `name` lies, or will."""
    return cache_folder() / "models" / name


def is_made(folder: Path) -> bool:
    """Whether the folder of a model has all its files."""
    files = read_manifest(folder, MANIFEST)
    return files is not None and all((folder / file).is_file() for file in files)


def made_once(folder: Path, make: Callable[[Path], None], label: str) -> Path:
    """`folder` of the cache, which `make` fills if it is not there yet. label: stands before
    messages.

    Raises StudentError where the cache cannot be written, and what `make` raises."""
    if is_made(folder):
        return folder
    try:
        with waiting(folder.with_name(f".{folder.name}.lock")):
            if not is_made(folder):
                _remove_drafts(folder)
                with atomic_folder(folder) as draft:
                    make(draft)
                    seal(draft, MANIFEST)
    except OSError as error:
        raise StudentError(
            f"{label}: the cache {cache_folder()} cannot be written ({error.strerror or error}). "
            f"Free space there, or name another folder: export {VARIABLE}=FOLDER"
        ) from None
    return folder


def _remove_drafts(folder: Path) -> None:
    """Deletes what killed processes left; nobody else writes while this process holds the lock."""
    for path in folder.parent.iterdir():
        if is_draft(path.name, folder.name):
            shutil.rmtree(path, ignore_errors=True)
