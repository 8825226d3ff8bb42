from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.rating import RatingModels

JOB = "smallsteps.cli.rating.rate_file"


def test_defaults(passed):
    assert passed(JOB, "quality", "in.jsonl", "--out", "out.jsonl") == (
        InputFile(Path("in.jsonl"), "hotpotqa", {}),
        Path("out.jsonl"),
        None,
        RatingModels("lexical", "lexical", None),
        Compute("auto", None),
    )


def test_options(passed):
    options = "--out out.jsonl --student s --reference r.jsonl --judge j --encoder e --task facts"
    further = "--columns context=text --device cpu --threads 2"
    assert passed(JOB, "quality", "in.jsonl", *options.split(), *further.split()) == (
        InputFile(Path("in.jsonl"), "facts", {"context": "text"}),
        Path("out.jsonl"),
        Path("r.jsonl"),
        RatingModels("j", "e", "s"),
        Compute("cpu", 2),
    )
