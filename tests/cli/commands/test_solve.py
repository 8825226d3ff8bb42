from __future__ import annotations

from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.solving import SolveOptions
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.server_settings import ServerSettings

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
            EngineSettings(batch_size=8),
            "bfloat16",
        ),
    )


def test_a_server_that_runs_already(passed):
    url = "http://127.0.0.1:8000/v1"
    given = passed(QUESTION, "solve", "s", "How many?", "--engine", "vllm", "--server-url", url)
    server = ServerSettings(base_url=url)
    writing = EngineSettings(engine="vllm", batch_size=64, server=server)
    assert given[1].writing == writing and given[1].decode() == "greedy, vllm"


def test_a_server_that_is_started(passed):
    command = "true {folder} {port}"
    words = ["--engine", "vllm", "--server-command", command]
    assert passed(QUESTION, "solve", "s", "Why?", *words)[1].writing.server.command == command
