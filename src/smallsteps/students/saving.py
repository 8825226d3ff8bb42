"""Students on disk: folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
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


def replace_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a new folder, then put it in the place of `folder`. Returns `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(fresh)
        fresh.chmod(0o755)
        for path in fresh.rglob("*"):  # transformers writes weights readable by their owner alone
            path.chmod(0o755 if path.is_dir() else 0o644)
        if folder.exists():
            old = fresh.with_name(fresh.name + "-old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
