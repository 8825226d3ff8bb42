from __future__ import annotations

from pathlib import Path

from smallsteps.cli.input_file import InputFile

JOB = "smallsteps.cli.grading.grade_file"


def test_defaults(passed):
    assert passed(JOB, "grade", "said.jsonl", "gold.jsonl") == (
        Path("said.jsonl"),
        InputFile(Path("gold.jsonl"), "numbers", {}),
        False,
        None,
        False,
        None,
    )


def test_options(passed):
    options = ["--task", "gsm8k", "--columns", "id=key", "--lenient", "--rows", "r.jsonl", "--json"]
    options += ["--with", "lm-eval"]
    assert passed(JOB, "grade", "said.jsonl", "gold.jsonl", *options) == (
        Path("said.jsonl"),
        InputFile(Path("gold.jsonl"), "gsm8k", {"id": "key"}),
        True,
        Path("r.jsonl"),
        True,
        "lm-eval",
    )
