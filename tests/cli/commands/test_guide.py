from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.guiding import GateOptions, Guide, GuideOptions
from smallsteps.cli.input_file import InputFile
from smallsteps.methods.guided.config import ReaderSettings

JOB = "smallsteps.cli.guiding.guide_file"
NEEDED = ("guide", "q.jsonl", "--guide", "g", "--reader", "m", "--out", "o.jsonl")


def test_defaults_are_those_of_the_settings(passed):
    assert passed(JOB, *NEEDED) == (
        InputFile(Path("q.jsonl"), "hotpotqa", {}),
        Path("o.jsonl"),
        Guide("g", 160),
        ReaderSettings(name="m"),
        GuideOptions(),
        Compute("auto", None),
    )


def test_options_fill_the_settings(passed):
    options = "--base-url http://localhost:8000/v1 --prompt p.txt --standard s.txt --compare "
    options += "--answer-tokens 9 --max-new-tokens 8 --concurrency 4 --price 1 2 --store s "
    options += "--task facts --columns context=text --device cpu --threads 2 --dry-run"
    source, _, student, settings, *rest = passed(JOB, *NEEDED, *options.split())
    assert source == InputFile(Path("q.jsonl"), "facts", {"context": "text"})
    assert student == Guide("g", 8)
    assert settings == ReaderSettings(
        name="m",
        base_url="http://localhost:8000/v1",
        guided="p.txt",
        standard="s.txt",
        max_new_tokens=9,
        concurrency=4,
        price_in=1.0,
        price_out=2.0,
        store="s",
    )
    assert rest == [GuideOptions(compare=True, dry_run=True), Compute("cpu", 2)]


def test_a_gate_has_the_judge_that_is_named(passed):
    *_, options, _ = passed(JOB, *NEEDED, "--min-factuality", "0.6", "--judge", "endpoint:big")
    assert isinstance(options.gate, GateOptions)
    assert (options.gate.least, options.gate.judge.name) == (0.6, "endpoint:big")
