from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.solving import SolveOptions
from smallsteps.generation.generator import Decoding

QUESTION = "smallsteps.cli.solving.solve_question"
FILE = "smallsteps.cli.solving.solve_file"


def test_a_question_with_defaults(passed):
    options = SolveOptions("bundled", Decoding(), Compute("auto", None))
    assert passed(QUESTION, "solve", "bundled", "How many?") == ("How many?", options)


def test_a_file_with_options(passed):
    words = "--out o.jsonl --task gsm8k --batch-size 8 --dtype bfloat16 --temperature 0.5 --seed 3 "
    words += "--columns question=q --device cpu --threads 2"
    assert passed(FILE, "solve", "s", "q.jsonl", *words.split()) == (
        "q.jsonl",
        {"question": "q"},
        SolveOptions(
            "s",
            Decoding(temperature=0.5, seed=3),
            Compute("cpu", 2),
            Path("o.jsonl"),
            "gsm8k",
            8,
            "bfloat16",
        ),
    )
