"""Saved folders are whole, and the student comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
PREFIX = [("ES", "Ann has 3 boxes,"), ("AS", "so 12 pens.")]
STYLES = ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2", "llama", "qwen"]


def logits(student: Student, ids: list[int]) -> torch.Tensor:
    row = torch.tensor([ids], device=student.device)
    with torch.no_grad():
        given = {} if student.architecture == "causal" else {"decoder_input_ids": row}
        return student.model(row, **given).logits


@pytest.mark.parametrize("style", STYLES)
def test_saved_and_loaded_students_are_the_same(tiny: Tiny, style: str, tmp_path: Path) -> None:
    text = "Ann has {3}\n\n boxes ~"
    student = prepare(tiny(style), TASK, path="uni", cue=True, texts=[text], seed=1)
    student.save(tmp_path / "m")
    student.save(tmp_path / "m")  # over an old one
    again = load_student(tmp_path / "m", device="cpu")
    assert again.drive == student.drive
    assert again.source_ids(TASK, text, PREFIX, "AS") == student.source_ids(
        TASK, text, PREFIX, "AS"
    )
    assert again.text(again.encode(text)) == text
    ids = student.source_ids(TASK, text, PREFIX, "AS")
    assert torch.equal(logits(again, ids), logits(student, ids))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"], "nothing half-written is left"
    assert not list((tmp_path / "m").glob("*.bin"))
