"""How commands end: one line on standard error, no colours where none are wanted, any encoding."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from full_disk import may_mount, on_small_disk
from smallsteps.cli.failures import print_anything
from smallsteps.cli.main import main
from smallsteps.errors import DataError
from smallsteps.tasks.files import write_rows


def fails(monkeypatch, error):
    def command():
        raise error

    monkeypatch.setattr("smallsteps.cli.running.list_recipes", command)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing"], "no command 'nothing'"),
        (["segment", "--shwo", "3"], "No such option: --shwo"),
        (["segment", "x", "--out", "y", "--beta", "many"], "'--beta'"),
        (["segment", "x", "--out", "y", "--show", "-1"], "'--show'"),
        (["solve"], "Missing argument 'model'"),
        (["solve", "bundled", "q", "\x1b[31m"], "extra argument"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(arguments, message, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("error: ")
    assert message in said.err and "--help\n" in said.err and "\x1b" not in said.err


COMPARE = ["compare", "x.jsonl", "--student", "bundled", "--out", "y"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            [*COMPARE, "--budget", "4k"],
            "'--budget': expected a whole number, got '4k'.",
        ),
        (
            [*COMPARE, "--budget", "4.5"],
            "'--budget': expected a whole number, got '4.5'.",
        ),
        ([*COMPARE, "--seeds", ""], "'--seeds': expected a whole number, got ''."),
        ([*COMPARE, "--passes", "many"], "'--passes': expected a number such as 0.5, got 'many'."),
        ([*COMPARE, "--budget", "0"], "'--budget': expected a number of at least 1, got '0'."),
        (
            [*COMPARE, "--seeds", "1001"],
            "'--seeds': expected a number of at most 1000, got '1001'.",
        ),
        (
            [*COMPARE, "--budget", "9" * 5000],
            f"expected a whole number, got '{'9' * 39}…",
        ),
    ],
)
def test_a_wrong_number_of_an_option_is_told_with_what_was_expected(arguments, message, capsys):
    pytest.importorskip("typer._coercion", reason="an older typer has words of its own")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert (
        message in error
        and "Input should" not in error
        and error.endswith(". See smallsteps compare --help\n")
    )


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 2
    said = capsys.readouterr()
    assert "Usage" in said.out + said.err and "error" not in said.err


def test_an_error_is_one_line_whatever_a_row_is_called(monkeypatch, capsys):
    fails(monkeypatch, DataError("in.jsonl:1 (a\nerror: faked \x1b[2J): no.\n Give it another."))
    assert main(["recipes"]) == 2
    assert (
        capsys.readouterr().err
        == "error: in.jsonl:1 (a; error: faked ␛[2J): no.; Give it another.\n"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_closed_disk_is_no_bug(number, monkeypatch, capsys):
    fails(monkeypatch, OSError(number, os.strerror(number), "runs/x"))
    assert main(["recipes"]) == 2
    assert capsys.readouterr().err.startswith(f"error: runs/x: {os.strerror(number)}. ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_no_bug_where_torch_meets_it(monkeypatch, capsys):
    with pytest.raises(RuntimeError) as met:
        torch.save(torch.zeros(100_000), "/dev/full")
    fails(monkeypatch, met.value)
    assert main(["recipes"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {os.strerror(errno.ENOSPC)}. The work so")


def test_a_full_disk_is_no_bug_where_safetensors_meets_it(monkeypatch, capsys):
    text = "Error while serializing: I/O error: No space left on device (os error 28)"
    fails(monkeypatch, SafetensorError(text))
    assert main(["recipes"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {os.strerror(errno.ENOSPC)}. The work so")


@pytest.mark.parametrize("text", ["shapes do not match", "no such file (os error 2)"])
def test_other_errors_of_libraries_are_bugs(text, monkeypatch, capsys):
    fails(monkeypatch, SafetensorError(text))
    assert main(["recipes"]) == 1
    assert "a bug of smallsteps: please report" in capsys.readouterr().err


def test_other_system_errors_are_bugs(monkeypatch, capsys):
    fails(monkeypatch, FileNotFoundError(errno.ENOENT, "No such file", "x"))
    assert main(["recipes"]) == 1
    assert "a bug of smallsteps: please report" in capsys.readouterr().err


@pytest.mark.parametrize("no_color, colours", [("", True), ("1", False)])
def test_no_colour_is_printed_where_none_is_wanted(no_color, colours, monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["nothing"]) == 2
    assert ("\x1b[" in capsys.readouterr().err) is colours


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_text_can_be_printed_and_json_stays_json(encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_anything()
    value = "– ± é 小 👩 \ud800"
    print(json.dumps(value, ensure_ascii=False))
    stream.flush()
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == value


def test_a_command_works_where_the_terminal_knows_ascii_alone(tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"id": "é", "question": "2 – 1?", "rationale": "2 – 1 = 1.", "answer": 1}\n'
    )
    command = [
        sys.executable,
        "-m",
        "smallsteps.cli.main",
        "segment",
        "in.jsonl",
        "--out",
        "o.jsonl",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0 and not done.stderr.count(b"Error"), done.stderr
    assert rb"\u00e9: 2 \u2013 1?" in done.stdout


@pytest.mark.parametrize("sink, code", [("> /dev/full", 2), ("| true", 1)])
def test_an_output_that_takes_nothing_is_no_success_and_no_traceback(sink, code, tmp_path):
    (tmp_path / "said.jsonl").write_text('{"id": "1", "answer": "7"}\n')
    (tmp_path / "gold.jsonl").write_text('{"id": "1", "question": "?", "answer": "7"}\n')
    grade = f"sleep 0.1; {sys.executable} -m smallsteps.cli.main grade said.jsonl gold.jsonl --json"
    command = f"set -o pipefail; ({grade}) {sink}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, cwd=tmp_path, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert done.stderr.startswith("error: ") == (code == 2)


@pytest.mark.skipif(not may_mount(), reason="no disk can be mounted here")
def test_a_disk_that_fills_under_answers_and_exports_keeps_the_answers_and_no_half_folder(
    uni_student, tmp_path
):
    disk, questions = tmp_path / "disk", tmp_path / "questions.jsonl"
    write_rows(questions, [{"id": f"q{n}", "question": f"{n} + 2?"} for n in range(60)])
    solve = ["solve", str(uni_student), str(questions), "--out", str(disk / "a.jsonl")]
    export = ["export", str(uni_student), "--to", str(disk / "out")]
    cut, whole, half, again = on_small_disk(
        disk, tmp_path / "kept", [(8, solve), (64, solve), (96, export), (16_384, export)]
    )
    assert cut.code == half.code == 2 and whole.code == again.code == 0
    for ended in (cut, half):
        line = ended.errors.strip().splitlines()[-1]
        assert line.startswith("error: ") and "no space left on device" in line, line
    assert cut.names == [".a.jsonl.partial"] and "continuing: " in whole.errors
    assert len((tmp_path / "kept/a.jsonl").read_text().splitlines()) == 60
    assert half.names == ["a.jsonl"], "no half-written folder"
    assert (tmp_path / "kept/out/config.json").is_file()
