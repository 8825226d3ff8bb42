"""What training leaves on disk, so that a kill at any moment loses nothing but time.

    out/settings.json            digest of settings, examples and student: whose folder this is
    out/curves.jsonl             one line an update
    out/checkpoint-120/          to resume from: weights, optimizer, schedule, random state
    out/candidate-120/           a Hugging Face folder: best so far by some criterion (`choice.py`)
    out/result.json              written at the end
    out/COMPLETE                 training is over

A folder counts only once its `COMPLETE` file exists, which is written after everything in it has
reached the disk, and names each of its files with its digest; that of a checkpoint also those of
the candidates it names. Where a digest is not right, the files were damaged later: `repair` says so
and clears the folder, so that training starts again. Candidates that a newer checkpoint no longer
names are deleted after that checkpoint is complete, never before."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from itertools import chain as chained
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from smallsteps.disk import (
    damage,
    read_object,
    seal,
    sync_file,
    sync_folder,
    write_json,
    write_text,
)
from smallsteps.errors import RunFolderError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.training.choice import Selection
from smallsteps.training.contrast import Contrast
from smallsteps.training.settings import ContrastSettings, TrainSettings

COMPLETE = "COMPLETE"
RESULT = "result.json"
CURVES = "curves.jsonl"
WEIGHTS = "weights.safetensors"
KINDS = ("checkpoint", "candidate")


def digest_of(
    settings: TrainSettings,
    contrast_settings: ContrastSettings,
    seed: int,
    train: Iterable[Example],
    validation: Iterable[Example],
    student: Student,
    contrasts: Mapping[str, Contrast],
) -> str:
    """What must be the same for a run to go on: settings, examples in order, what they are set
    against, and the student's starting weights (sampled)."""
    known = [
        {name: value for name, value in settings.effects().items() if name != "report_to"},
        contrast_settings.model_dump(include=set(ContrastSettings.model_fields)),
        seed,
    ]
    parts = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for example in chained(train, [None], validation):
        row = None if example is None else example.to_row()
        parts.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    if contrasts:
        against = {name: asdict(contrast) for name, contrast in contrasts.items()}
        parts.update(json.dumps(against, sort_keys=True, ensure_ascii=False).encode())
    parts.update(student.weights_digest().encode())
    return parts.hexdigest()[:16]


def claim(out: Path, digest: str) -> None:
    """Make `out` the folder of this run, or check that it is. Raises RunFolderError when it belongs
    to another."""
    path = out / "settings.json"
    if path.exists():
        try:
            present = read_object(path)["digest"]
        except (ValueError, KeyError):
            raise RunFolderError(f"{path}: damaged. Delete {out} and run again.") from None
        if present != digest:
            raise RunFolderError(
                f"{out}: holds training with other settings, examples or student (digest "
                f"{present}, now {digest}). Give another output folder, or delete this one to "
                "start over."
            )
        return
    if out.exists() and any(out.glob("*checkpoint-*")):
        raise RunFolderError(
            f"{out}: holds checkpoints, but no settings.json: they belong to something else, or it "
            "was lost. Give another output folder, or delete this one to start over."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"digest": digest})


def repair(out: Path, say: Callable[[str], None] | None = None) -> None:
    """Clear `out` where something in it was damaged after it was written, so that training starts
    again from nothing; says which file (by default as a warning)."""
    folders = [out, *(path for kind in KINDS for path in _numbered(out, kind))]
    files = [folder / name for folder in folders for name in damage(folder, COMPLETE) or ()]
    if files:
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        line = f"{os.path.normpath(files[0])}{more}: damaged; this training starts again"
        if say is None:
            warnings.warn(line, stacklevel=2)
        else:
            say(line)
        (out / COMPLETE).unlink(missing_ok=True)
        (out / RESULT).unlink(missing_ok=True)
        tidy(out, ())


def finish(out: Path, result: Mapping[str, Any], chosen: Iterable[Selection]) -> None:
    """Write the result of a training that is over, then the manifest of all that it leaves; what
    else there is may be deleted."""
    write_json(out / RESULT, result)
    files = [out / "settings.json", out / CURVES, out / RESULT]
    for folder in {selection.folder for selection in chosen}:
        files += [path for path in sorted((out / folder).rglob("*")) if path.is_file()]
    seal(out, COMPLETE, files)


def is_finished(out: Path) -> bool:
    """Whether training in `out` is over (`repair` has been there before)."""
    return (out / COMPLETE).exists()


def complete(folder: Path, named: Iterable[Selection] = ()) -> None:
    """Bring everything in `folder` to the disk, then write its manifest; `named`: candidates beside
    it without which it is of no use."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync_file(path)
    sync_folder(folder)
    markers = {folder.parent / selection.folder / COMPLETE for selection in named}
    seal(folder, COMPLETE, [*files, *sorted(markers)])
    sync_folder(folder.parent)


def discard(folder: Path) -> None:
    """Delete a folder; its marker goes first, so that what a kill leaves over is never taken for
    whole."""
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def latest_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint to resume from."""
    whole = [path for path in _numbered(out, "checkpoint") if (path / COMPLETE).exists()]
    return max(
        (path for path in whole if re.fullmatch(r"checkpoint-\d+", path.name)),
        key=_number,
        default=None,
    )


def tidy(out: Path, keep: Iterable[str]) -> None:
    """Delete every checkpoint and candidate, whole or torn, that is not named in `keep`, and
    half-written files."""
    names = set(keep)
    for kind in KINDS:
        for path in _numbered(out, kind):
            if path.name not in names:
                discard(path)
    for part in out.glob("*.part"):
        part.unlink(missing_ok=True)


def _numbered(out: Path, kind: str) -> list[Path]:
    # names may carry more than the number while a folder is being written
    return [
        path
        for path in out.glob(f"*{kind}-*")
        if path.is_dir() and re.search(rf"{kind}-\d+", path.name)
    ]


def _number(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


class Curves:
    """`curves.jsonl`: rows of plain numbers, one an update; `rows` are those that training resumes
    from."""

    def __init__(
        self, path: Path, rows: Iterable[Mapping[str, Any]] = (), write: bool = True
    ) -> None:
        self.path = path
        self.rows = [dict(row) for row in rows]
        self._write = write
        if write:
            write_text(path, "".join(json.dumps(row) + "\n" for row in self.rows))

    def add(self, row: Mapping[str, float | int | None]) -> None:
        """Append `row`; on disk at once, so that the page of a killed run shows what there was."""
        self.rows.append(dict(row))
        if self._write:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(row) + "\n")


def read_curves(path: Path) -> list[dict[str, Any]]:
    """The rows of the curves file of a finished training."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def trained_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every trained parameter once (tied weights share one entry) and every persistent buffer, by
    name."""
    persistent = set(model.state_dict())
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return weights | {name: b.detach() for name, b in model.named_buffers() if name in persistent}


def load_weights(student: Student, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the student. Raises RunFolderError if they are another
    student's."""
    saved = safetensors.torch.load_file(checkpoint / WEIGHTS)
    weights = trained_weights(student.model)
    if saved.keys() != weights.keys():
        raise RunFolderError(
            f"{checkpoint}: weights of another student. Delete the output folder and start over."
        )
    for name, value in weights.items():
        value.copy_(saved[name])
