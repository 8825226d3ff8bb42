from __future__ import annotations

from pathlib import Path

JOB = "smallsteps.cli.exporting.export_folder"


def test_defaults(passed):
    call = passed(JOB, "export", "runs/mine", "--to", "x")
    assert call == ("runs/mine", Path("x"), "hf", None, False, False, False)


def test_options(passed):
    options = ["--format", "vllm", "--push", "me/a", "--yes", "--private", "--dry-run"]
    call = passed(JOB, "export", "runs/mine", *options)
    assert call == ("runs/mine", None, "vllm", "me/a", True, True, True)
