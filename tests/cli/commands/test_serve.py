from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.serving import ServeOptions

JOB = "smallsteps.cli.serving.serve_students"


def test_defaults_are_those_of_the_options_class(passed):
    assert passed(JOB, "serve", "bundled") == (ServeOptions(["bundled"], Compute("auto", None)),)


def test_several_students_and_all_options(passed):
    words = "--task gsm8k --host 0.0.0.0 --port 81 --key-env KEY --feedback f.jsonl --batch-size 8 "
    words += "--queue 5 --dtype bfloat16 --device cpu --threads 2 --dry-run"
    assert passed(JOB, "serve", "a", "b", *words.split()) == (
        ServeOptions(
            ["a", "b"],
            Compute("cpu", 2),
            "gsm8k",
            "0.0.0.0",
            81,
            "KEY",
            Path("f.jsonl"),
            8,
            5,
            "bfloat16",
            True,
        ),
    )
