from __future__ import annotations

from pathlib import Path

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.reviewing import ReviewFiles

JOB = "smallsteps.cli.reviewing.review_file"


def test_defaults(passed):
    files = ReviewFiles(Path("feedback.jsonl"), Path("labels.jsonl"))
    source = InputFile(Path("a.jsonl"), "numbers", {})
    assert passed(JOB, "review", "a.jsonl") == (source, files, 8000, False)


def test_options(passed):
    words = "--out f.jsonl --labels l.jsonl --task gsm8k --columns rationale=cot --port 0 --dry-run"
    assert passed(JOB, "review", "a.jsonl", *words.split()) == (
        InputFile(Path("a.jsonl"), "gsm8k", {"rationale": "cot"}),
        ReviewFiles(Path("f.jsonl"), Path("l.jsonl")),
        0,
        True,
    )
