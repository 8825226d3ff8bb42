from __future__ import annotations

from pathlib import Path

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.segmenting import Cutting

JOB = "smallsteps.cli.segmenting.segment_file"


def test_defaults(passed):
    assert passed(JOB, "segment", "in.jsonl", "--out", "out.jsonl") == (
        InputFile(Path("in.jsonl"), "numbers", {}),
        Path("out.jsonl"),
        "inter",
        Cutting(1.0, "add", None, None, "auto"),
        5,
    )


def test_options(passed):
    options = "--out out.jsonl --strategy ent* --untrained-student u --beta 0.8 "
    options += "--closing keep --device cpu"
    assert passed(JOB, "segment", "in.jsonl", *options.split(), "--show", "0") == (
        InputFile(Path("in.jsonl"), "numbers", {}),
        Path("out.jsonl"),
        "ent*",
        Cutting(0.8, "keep", None, "u", "cpu"),
        0,
    )


def test_agreement_takes_several_strategies_and_no_output(passed):
    options = "--agreement --strategy rouge --strategy inter --whole-segments --task text"
    job = "smallsteps.cli.label_agreement.print_agreement"
    assert passed(job, "segment", "in.jsonl", *options.split()) == (
        InputFile(Path("in.jsonl"), "text", {}),
        Cutting(1.0, "add", None, None, "auto"),
        ["rouge", "inter"],
        True,
        None,
    )
