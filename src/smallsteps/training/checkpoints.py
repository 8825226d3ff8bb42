"""What training leaves on disk, so that a kill at any moment loses nothing but time.

    out/settings.json            digest of settings, examples and student: whose folder this is
    out/curves.jsonl             one line an update
    out/checkpoint-120/          to resume from: weights, optimizer, schedule, random state
    out/candidate-120/           a Hugging Face folder: best so far by some criterion
    out/result.json              written last; training is over

A folder counts only once its `COMPLETE` file exists, which is written after everything in it has reached the disk.
Candidates that a newer checkpoint no longer names are deleted after that checkpoint is complete, never before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from smallsteps.errors import RunFolderError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.training.contrast import Contrast
from smallsteps.training.settings import TrainSettings

COMPLETE = "COMPLETE"
CRITERIA = ("train_loss", "validation_loss", "bleu", "metric")
"""Lowest training loss (mean since the last evaluation), lowest validation loss, highest validation BLEU, best task
metric."""
LOWEST = frozenset({"train_loss", "validation_loss"})


@dataclass(frozen=True)
class Selection:
    """The best evaluation so far by one criterion."""

    update: int
    value: float

    @property
    def folder(self) -> str:
        return f"candidate-{self.update}"


def better(criterion: str, value: float, best: Selection | None) -> bool:
    """Whether `value` beats `best`; of equals the earlier stays. NaN never wins."""
    if value != value:
        return False
    if best is None:
        return True
    return value < best.value if criterion in LOWEST else value > best.value


def digest_of(
    settings: TrainSettings,
    train: Sequence[Example],
    validation: Sequence[Example],
    student: Student,
    contrasts: Mapping[str, Contrast],
) -> str:
    """What must be the same for a run to go on: settings, examples in order, what they are set against, and the student's
    starting weights (sampled)."""
    known = asdict(settings)
    known.pop("report_to")
    parts = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for example in (*train, None, *validation):
        row = None if example is None else example.to_row()
        parts.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    if contrasts:
        against = {name: asdict(contrast) for name, contrast in contrasts.items()}
        parts.update(json.dumps(against, sort_keys=True, ensure_ascii=False).encode())
    parts.update(student.weights_digest().encode())
    return parts.hexdigest()[:16]


def claim(out: Path, digest: str) -> None:
    """Make `out` the folder of this run, or check that it is. Raises RunFolderError when it belongs to another."""
    path = out / "settings.json"
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise RunFolderError(f"{path}: damaged. Delete {out} and run again.") from None
        if found != digest:
            raise RunFolderError(
                f"{out}: holds training with other settings, examples or student (digest {found}, now {digest}). "
                "Give another output folder, or delete this one to start over."
            )
        return
    if out.exists() and any(out.glob("*checkpoint-*")):
        raise RunFolderError(f"{out}: holds checkpoints of something else. Give another output folder.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"digest": digest})


def write_json(path: Path, value: Any) -> None:
    """Write `value` so that the file is either the old or the new one, whole and on disk."""
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def complete(folder: Path) -> None:
    """Bring everything in `folder` to the disk, then write its marker."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)
    with (folder / COMPLETE).open("w", encoding="utf-8") as file:
        file.write("complete\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(folder)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(folder: Path) -> None:
    """Delete a folder; its marker goes first, so that what a kill leaves over is never taken for whole."""
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def latest_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint to resume from."""
    whole = [path for path in _numbered(out, "checkpoint") if (path / COMPLETE).exists()]
    return max((path for path in whole if re.fullmatch(r"checkpoint-\d+", path.name)), key=_number, default=None)


def tidy(out: Path, keep: Iterable[str]) -> None:
    """Delete every checkpoint and candidate, whole or torn, that is not named in `keep`, and half-written files."""
    names = set(keep)
    for kind in ("checkpoint", "candidate"):
        for path in _numbered(out, kind):
            if path.name not in names:
                discard(path)
    for part in out.glob("*.part"):
        part.unlink(missing_ok=True)


def _numbered(out: Path, kind: str) -> list[Path]:
    # names may carry more than the number while a folder is being written
    return [path for path in out.glob(f"*{kind}-*") if path.is_dir() and re.search(rf"{kind}-\d+", path.name)]


def _number(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


class Curves:
    """`curves.jsonl`: rows of plain numbers, one an update; cut back to the update that training resumes from."""

    def __init__(self, path: Path, keep_updates: int, write: bool = True) -> None:
        self.path = path
        self.rows = [row for row in read_curves(path) if row["update"] <= keep_updates]
        self._write = write
        if write:
            draft = path.with_name(path.name + ".part")
            draft.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8", newline="\n")
            draft.replace(path)

    def add(self, row: Mapping[str, float | int | None]) -> None:
        """Append `row`; on disk at once, so that the page of a killed run shows what there was."""
        self.rows.append(dict(row))
        if self._write:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(row) + "\n")


def read_curves(path: Path) -> list[dict[str, Any]]:
    """The rows of a curves file; a last line that a kill tore is left out."""
    rows: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return rows


def trained_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every trained parameter once (tied weights share one entry) and every persistent buffer, by name."""
    persistent = set(model.state_dict())
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return weights | {name: b.detach() for name, b in model.named_buffers() if name in persistent}
