"""Errors name what the person typed: options of `compare`, keys of `run`."""

from __future__ import annotations

import pytest

from smallsteps.cli.command_words import OPTIONS, errors_in, in_keys, in_options
from smallsteps.cli.main import main
from smallsteps.errors import StudentError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--feedback", "missing.jsonl"], "error: --feedback: missing.jsonl: no such file."),
        (["--student", "nowhere/at/all"], "error: --student: nowhere/at/all: no such folder"),
        (["--task", "numbrs"], "error: --task: no task 'numbrs'. Did you mean 'numbers'?"),
        (["--arms", "direct,direct"], "error: --arms: direct is named twice"),
        (["--set", "data.test=x.jsonl"], "error: data.test: x.jsonl: no such file."),
        (["--set", "data.feedback=x.jsonl"], "error: data.feedback: x.jsonl: no such file."),
        (["--set", "train.warmup_share=-1"], "Type for example --set train.warmup_share="),
        (["--columns", "rationale=cot"], "Correct it: --columns rationale=COLUMN."),
    ],
)
def test_compare_names_the_option_that_was_typed(
    chains, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    command = ["compare", str(chains), "--student", "bundled", "--out", "x", "--dry-run"]
    assert main([*command, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_run_names_the_key_that_is_to_be_typed(chains, capsys):
    changes = [f"data.chains={chains}", "data.columns={rationale: cot}"]
    assert main(["run", "as-es/bundled", *changes, "--dry-run"]) == 2
    assert "Correct it: data.columns.rationale=COLUMN." in capsys.readouterr().err


@pytest.mark.parametrize("key", OPTIONS)
def test_a_key_becomes_its_option_at_the_beginning_of_a_message(key):
    assert in_options(f"compare: {key}: expected more") == f"{OPTIONS[key]}: expected more" or (
        "." in key and in_options(f"{key}: expected more") == f"{OPTIONS[key]}: expected more"
    )


@pytest.mark.parametrize(
    "message",
    [
        "runs/data.task: no such file",
        "unknown key 'epochs'. Did you mean 'train.passes'?",
        "the arms: direct and base",
    ],
)
def test_paths_quotations_and_common_words_stay(message):
    assert in_options(message) == message


def test_options_become_keys_with_their_values():
    message = "add --task text, or name its column: --columns question=COLUMN."
    assert in_keys(message) == (
        "add data.task=text, or name its column: data.columns.question=COLUMN."
    )
    assert in_keys("--columns 'rationale=my col' --columns a=b") == (
        "'data.columns.rationale=my col' data.columns.a=b"
    )


def test_the_kind_of_error_stays():
    with pytest.raises(StudentError, match=r"^HERE$"), errors_in(str.upper):
        raise StudentError("here")
