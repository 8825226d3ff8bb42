from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.main import main
from smallsteps.teaching.settings import TeacherSettings

JOB = "smallsteps.cli.teaching.teach_file"


def test_defaults_are_those_of_the_settings_but_for_a_greedy_teacher_asked_once(passed):
    assert passed(JOB, "teach", "q.jsonl", "--teacher", "m", "--out", "o.jsonl") == (
        InputFile(Path("q.jsonl"), "numbers", {}),
        Path("o.jsonl"),
        TeacherSettings(name="m", temperature=0.0, retries=0),
        1,
        0,
        Compute("auto", None),
        False,
    )


def test_options_fill_the_settings(passed):
    options = "--base-url http://localhost:8000/v1 --prompt blind --temperature 0.5 --retries 2 "
    options += "--max-new-tokens 9 --max-calls 3 --max-tokens-total 99 --max-money 1.5 "
    options += "--price 1 2 --concurrency 4 --timeout 5 --patience 6 --thinking only --store s "
    options += "--samples 7 --seed 8 --task gsm8k --device cpu --threads 2 --dry-run"
    source, _, settings, *rest = passed(
        JOB,
        *("teach", "q.jsonl", "--teacher", "m", "--out", "o.jsonl"),
        *("--extra-body", '{"top_k": 5}', "--columns", "question=q"),
        *options.split(),
    )
    assert source == InputFile(Path("q.jsonl"), "gsm8k", {"question": "q"})
    assert settings == TeacherSettings(
        name="m",
        base_url="http://localhost:8000/v1",
        initial="blind",
        temperature=0.5,
        retries=2,
        max_new_tokens=9,
        calls=3,
        tokens=99,
        money=1.5,
        price_in=1.0,
        price_out=2.0,
        concurrency=4,
        timeout=5.0,
        patience=6.0,
        extra_body={"top_k": 5},
        thinking="only",
        store="s",
    )
    assert rest == [7, 8, Compute("cpu", 2), True]


def test_the_teacher_must_be_named(capsys):
    assert main(["teach", "q.jsonl", "--out", "o.jsonl"]) == 2
    assert "'--teacher'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--retries -1", "--retries: expected a whole number of at least 0"),
        ("--price 0 -1", "--price: expected a number"),
        ("--thinking often", "--thinking: expected"),
        ("--max-money 3", "needs prices"),
    ],
)
def test_an_invalid_value_is_named_by_its_option(options, message, capsys):
    command = ["teach", "q.jsonl", "--teacher", "m", "--out", "o.jsonl", *options.split()]
    assert main(command) == 2
    assert message in capsys.readouterr().err
