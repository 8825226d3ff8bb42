"""The files of a student's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.students.pretrained import no_progress_bars
from smallsteps.students.weights import merged


def write_model(folder: Path, model: Any, tokenizer: Any, drive: Drive | None) -> None:
    """Write a Hugging Face model folder; LoRA adapters are merged. `folder` must exist."""
    with no_progress_bars():
        merged(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if drive:
        (folder / DRIVE_FILE).write_text(drive.to_json(), encoding="utf-8")
