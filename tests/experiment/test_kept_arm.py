"""A graded arm keeps its row; a damaged row is as good as none."""

from __future__ import annotations

import pytest

from kept_runs import PROBLEMS, arm_row, score_of
from smallsteps.experiment.kept_arm import FILE_NAME, KeptArm


def test_what_is_read_is_what_was_written(tmp_path):
    row = arm_row("direct", 3, score_of([1, 2], 3, PROBLEMS))
    kept = KeptArm(result=row, against=["base"], usable=False)
    kept.write(tmp_path)
    assert KeptArm.read(tmp_path) == kept


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"result": 1}', "\x80"])
def test_an_arm_without_a_whole_row_is_not_graded(content, tmp_path):
    if content is not None:
        (tmp_path / FILE_NAME).write_text(content, encoding="latin-1")
    assert KeptArm.read(tmp_path) is None
