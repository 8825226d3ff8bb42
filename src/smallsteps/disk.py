"""Files and folders that are written whole or not at all, and manifests that prove it.

`atomic_file` and `atomic_folder` write a draft beside the path, bring it to the disk, and rename
it. Whatever a kill must not leave half-written is written by them.

A manifest is a JSON file with the names and SHA-256 digests of the files of its folder. It is
written last: a folder without one was cut off by a kill, and a file with another digest was damaged
later. Stages of a run folder (`manifest.json`), checkpoints, candidates and finished trainings
(`COMPLETE`) have one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from smallsteps.errors import RunFolderError

CARD = "README.md"
"""The model card of a student. No manifest names it: it gets the figures of its run after its stage
is complete, and can be written again at any time."""

# ---- atomic writing ----


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A new, empty draft beside `path`, which the block fills and which then replaces `path`.

    After an error or a kill `path` is what it was before; only a kill leaves the draft. Folders on
    the way are made. Of a link, the file that it points to is replaced. Raises OSError.
    """
    path = Path(os.path.realpath(path))  # unlike Path.resolve, no error where a link names itself
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_beside(path)
    draft.open("xb").close()
    try:
        yield draft
        sync_file(draft)
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new, empty draft beside the folder `path`, which the block fills and which then replaces
    it, readable by everybody.

    After an error `path` is what it was before. Replacing an existing folder takes two renames: a
    kill between them leaves the new folder and the old one under names of drafts. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_beside(path)
    draft.mkdir()
    try:
        yield draft
        draft.chmod(0o755)
        for inside in draft.rglob("*"):  # safetensors writes weights for their owner alone
            inside.chmod(0o755 if inside.is_dir() else 0o644)
            if inside.is_file():
                sync_file(inside)
        if path.exists():
            replaced = draft_beside(path)
            path.rename(replaced)
            draft.rename(path)
            shutil.rmtree(replaced)
        else:
            draft.rename(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def draft_beside(path: Path) -> Path:
    """A new, hidden name beside `path` that ends with `.part`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def is_draft(name: str, of: str) -> bool:
    """Whether `name` is the name of a draft of a file or folder called `of`."""
    return name.startswith(f".{of}.") and name.endswith(".part")


def sync_file(path: Path) -> None:
    """Brings the content of a file to the disk."""
    with path.open("rb+") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk."""
    if os.name != "posix":  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with `atomic_file`. Raises RunFolderError where it cannot be written."""
    try:
        with atomic_file(path) as draft:
            draft.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written ({error.strerror}).") from None


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON with `write_text`."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ValueError that says why there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not whole JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, got {type(content).__name__}")
    return content


# ---- manifests ----


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path, manifest: str) -> dict[str, str]:
    """Relative path → SHA-256 of every file below `folder`, without the manifest, hidden files and
    model cards."""
    digest_of_file = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        unnamed = hidden or name.name == CARD or name.as_posix() == manifest
        if path.is_file() and not unnamed:
            digest_of_file[name.as_posix()] = file_digest(path)
    return digest_of_file


def seal(folder: Path, manifest: str, files: Iterable[Path] | None = None) -> None:
    """Writes the manifest of `folder`, which names `files` (default: all files below it) but the
    model cards among them."""
    if files is None:
        digest_of_file = digests(folder, manifest)
    else:
        digest_of_file = {
            Path(os.path.relpath(path, folder)).as_posix(): file_digest(path)
            for path in files
            if path.name != CARD
        }
    write_manifest(folder, manifest, digest_of_file)


def write_manifest(folder: Path, manifest: str, digest_of_file: Mapping[str, str]) -> None:
    """Writes the manifest of `folder` with these files, their digests, and a digest of both."""
    content = {"files": dict(digest_of_file), "sha256": _mapping_digest(digest_of_file)}
    write_json(folder / manifest, content)


def _mapping_digest(mapping: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path, manifest: str) -> dict[str, str] | None:
    """Relative path → SHA-256 of the files that a manifest names; None where it is missing or
    damaged."""
    try:
        content = read_object(folder / manifest)
    except ValueError:
        return None
    digest_of_file = content.get("files")
    if not isinstance(digest_of_file, dict):
        return None
    if not all(isinstance(digest, str) for digest in digest_of_file.values()):
        return None
    if content.get("sha256") not in (None, _mapping_digest(digest_of_file)):
        return None
    return digest_of_file


def damage(folder: Path, manifest: str) -> list[str] | None:
    """The files that are missing or differ from the manifest; the manifest itself if it is damaged.

    None where there is no manifest: the folder was never finished.
    """
    if not os.path.lexists(folder / manifest):
        return None
    digest_of_file = read_manifest(folder, manifest)
    if digest_of_file is None:
        return [manifest]
    return [
        name for name, digest in digest_of_file.items() if not _has_digest(folder / name, digest)
    ]


def _has_digest(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and file_digest(path) == digest
    except (OSError, ValueError):  # unreadable, or a name that no file can have
        return False
