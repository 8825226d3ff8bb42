from __future__ import annotations

from pathlib import Path

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.segmenting import Cutting

JOB = "smallsteps.cli.segmenting.segment_file"


def test_defaults(passed):
    assert passed(JOB, "segment", "in.jsonl", "--out", "out.jsonl") == (
        InputFile(Path("in.jsonl"), "numbers", {}),
        Path("out.jsonl"),
        Cutting("inter", 1.0, "add", None, "auto"),
        5,
    )


def test_options(passed):
    options = "--out out.jsonl --strategy ent --student s --beta 0.8 --closing keep --device cpu"
    assert passed(JOB, "segment", "in.jsonl", *options.split(), "--show", "0") == (
        InputFile(Path("in.jsonl"), "numbers", {}),
        Path("out.jsonl"),
        Cutting("ent", 0.8, "keep", "s", "cpu"),
        0,
    )
