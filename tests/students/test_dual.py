"""A pair of students in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.errors import StudentError
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load, load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")


def test_a_pair_is_saved_and_loaded_as_one_folder(tiny: Tiny, tmp_path: Path) -> None:
    es, as_ = (
        prepare(tiny("t5", seed=n), TASK, path="dual", role=r) for n, r in ((1, "ES"), (2, "AS"))
    )
    DualStudent(es, as_, Drive("gsm8k", "dual")).save(tmp_path / "pair")
    pair = load(tmp_path / "pair", device="cpu")
    assert isinstance(pair, DualStudent) and pair.drive == Drive("gsm8k", "dual")
    assert pair.half("AS").drive == as_.drive
    with pytest.raises(StudentError, match="dual-path pair"):
        load_student(tmp_path / "pair")


def test_each_kind_has_its_half(tiny: Tiny) -> None:
    es, as_ = tiny("t5", seed=1), tiny("t5", seed=2)
    pair = DualStudent(es, as_, Drive("gsm8k", "dual"))
    assert pair.half("ES") is es and pair.half("AS") is as_
    assert pair.architecture == "encoder-decoder"
