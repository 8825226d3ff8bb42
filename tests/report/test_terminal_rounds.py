"""The rounds of tailored learning in 80 columns."""

from __future__ import annotations

from smallsteps.experiment.result_record import Figure
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.terminal_rounds import rounds_table

from .conftest import printed, round_result


def test_the_rounds_of_each_student_stand_in_80_columns() -> None:
    untrained = round_result(arm="no-contrast", mistakes=400)
    changes = {
        "round": 1,
        "exam": 74.1,
        "mistakes": 220,
        "repaired": 156,
        "broken": 11,
        "calls": 736,
        "kept": 701,
        "teacher_tokens": 65_700,
        "test": Figure(value=36.0, low=31.8, high=40.2),
    }
    rounds = [untrained, untrained.model_copy(update=changes)]
    part = TailoredResults(teacher="solver", equal="anchors", rounds=rounds)
    text = printed(rounds_table(part))
    for shown in (
        "no-contrast",
        "seed 0",
        "74.1",
        "31.8–40.2",
        "220",
        "156",
        "11",
        "701 of 736",
        "65.7 k",
    ):
        assert shown in text
    assert "…" not in text and text.count("no-contrast") == 1
