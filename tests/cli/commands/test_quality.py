from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.rating import AspectMeasures
from smallsteps.quality.settings import JudgeSettings

JOB = "smallsteps.cli.rating.rate_file"


def test_defaults(passed):
    assert passed(JOB, "quality", "in.jsonl", "--out", "out.jsonl") == (
        InputFile(Path("in.jsonl"), "hotpotqa", {}),
        Path("out.jsonl"),
        AspectMeasures(JudgeSettings(), "lexical", None, None, None),
        Compute("auto", None),
        False,
    )


def test_options(passed):
    options = "--out out.jsonl --student s --reference r.jsonl --judge j --encoder e --task facts"
    further = "--columns context=text --device cpu --threads 2 --dry-run "
    further += "--aspect fluency --aspect factuality"
    assert passed(JOB, "quality", "in.jsonl", *options.split(), *further.split()) == (
        InputFile(Path("in.jsonl"), "facts", {"context": "text"}),
        Path("out.jsonl"),
        AspectMeasures(
            JudgeSettings(name="j"), "e", "s", Path("r.jsonl"), ("factuality", "fluency")
        ),
        Compute("cpu", 2),
        True,
    )
