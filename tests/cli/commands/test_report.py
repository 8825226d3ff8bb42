from __future__ import annotations

from pathlib import Path

JOB = "smallsteps.cli.reporting.report_run"


def test_defaults(passed):
    assert passed(JOB, "report", "runs/mine") == (Path("runs/mine"), None, "tokens")


def test_options(passed):
    options = ["--figure", "x.png", "--cost", "passes"]
    assert passed(JOB, "report", "runs/mine", *options) == (
        Path("runs/mine"),
        Path("x.png"),
        "passes",
    )
