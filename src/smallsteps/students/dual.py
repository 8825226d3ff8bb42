"""Dual-path students (AS-ES, Sec. 3): one model writes extractive, the other abstractive
segments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smallsteps.disk import atomic_folder
from smallsteps.faults import names_faults
from smallsteps.records import Kind
from smallsteps.students.card import origin_of, write_card
from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.students.saving import write_model
from smallsteps.students.student import Student

if TYPE_CHECKING:
    import torch


class DualStudent:
    """A pair of students that write segments in turns."""

    architecture: Literal["encoder-decoder", "causal"]

    def __init__(self, es: Student, as_: Student, drive: Drive, name: str = "student") -> None:
        self.es, self.as_, self.drive, self.name = es, as_, drive, name
        self.architecture = es.architecture

    @property
    def device(self) -> torch.device:
        """The device of both halves."""
        return self.es.device

    def half(self, kind: Kind) -> Student:
        """The student that writes segments of `kind`."""
        return self.es if kind == "ES" else self.as_

    @names_faults
    def save(self, folder: Path | str) -> Path:
        """Write `es/` and `as/` (Hugging Face folders), the pair's `smallsteps.json`, and model
        cards."""
        with atomic_folder(Path(folder)) as draft:
            for name, half in (("es", self.es), ("as", self.as_)):
                (draft / name).mkdir()
                write_model(draft / name, half.model, half.tokenizer, half.drive)
                write_card(draft / name, half)
            (draft / DRIVE_FILE).write_text(self.drive.to_json(), encoding="utf-8")
            write_card(draft, self, origin_of(self.es.name))
        return Path(folder)
