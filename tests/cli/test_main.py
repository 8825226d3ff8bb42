"""The program: exit codes, and one line for whatever the user can fix."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from smallsteps import __version__
from smallsteps.cli.main import COMMANDS, OTHER_NAMES, main


def wrong_commands(chains, uni_student, tmp_path):
    out = str(tmp_path / "out")
    return {
        "Did you mean 'rouge'": ["segment", str(chains), "--strategy", "roug", "--out", out],
        "Did you mean 'numbers'": ["segment", str(chains), "--task", "number", "--out", out],
        "needs a student|none was given": [
            "segment",
            str(chains),
            "--strategy",
            "ent",
            "--out",
            out,
        ],
        "no such file": ["segment", str(tmp_path / "chians.jsonl"), "--out", out],
        "--columns names 'question' twice, as 'q' and 'p'": [
            "segment",
            str(chains),
            "--columns",
            "question=q",
            "--columns",
            "question=p",
            "--out",
            out,
        ],
        "expected OUR=THEIRS": ["segment", str(chains), "--columns", "rationale", "--out", out],
        "no such folder": ["solve", "./nowhere", "How many?"],
        "name the file": ["solve", str(uni_student), str(chains)],
        "Did you mean 'direct'": [
            "compare",
            str(chains),
            "--student",
            str(uni_student),
            "--out",
            out,
            "--arms",
            "dirct",
        ],
        "learning_rate": [
            "compare",
            str(chains),
            "--student",
            str(uni_student),
            "--out",
            out,
            "--set",
            "train.learning_rat=1",
        ],
        "no recipe": ["run", "demmo", "--out", out],
        "name the run folder": ["run", "demo"],
        "seeds": [
            "compare",
            str(chains),
            "--student",
            str(uni_student),
            "--out",
            out,
            "--seeds",
            "0",
        ],
    }


def test_wrong_commands_end_with_one_line_and_exit_code_2(chains, uni_student, tmp_path, capsys):
    for message, command in wrong_commands(chains, uni_student, tmp_path).items():
        assert main(command) == 2, command
        error = capsys.readouterr().err
        assert re.search(message, error), (message, error)
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").rglob("*.safetensors"))


def test_a_bug_shows_its_traceback_and_asks_for_a_report(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("smallsteps.cli.running.list_recipes", broken)
    assert main(["recipes"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: of ours" in said and "please report" in said


def test_an_interrupt_that_python_swallows_is_heard(monkeypatch, capsys):
    """One that comes while an object is being deleted."""

    class Unlucky:
        def __del__(self):
            raise KeyboardInterrupt

    def command(**_):
        Unlucky()
        for _ in range(100):
            time.sleep(0.02)

    monkeypatch.setattr("smallsteps.cli.main._program", lambda: command)
    assert main(["recipes"]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_an_interrupted_command_exits_with_130(tmp_path):
    command = [
        sys.executable,
        "-m",
        "smallsteps.cli.main",
        "run",
        "demo",
        "--out",
        str(tmp_path / "run"),
        "--threads",
        "1",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a job in the background ignores it
    )
    for _ in range(300):
        time.sleep(0.1)
        if (tmp_path / "run" / "data" / "manifest.json").exists():
            break
    process.send_signal(signal.SIGINT)
    try:
        said = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 130
    assert "run the same command again" in said and "Traceback" not in said


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"smallsteps {__version__}\n"


VERBS = "Answer Ask Compare Cut Export Grade Judge Let List Run Score Serve Show Train"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_the_help_of_every_command_begins_with_an_imperative(command, capsys):
    assert command.__doc__.split()[0] in VERBS.split()
    assert main([command.__name__, "--help"]) == 0
    assert command.__doc__.split(".")[0].split(",")[0] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("report", "show"), ("train", "compare"), ("Evaluate", "grade"), ("shwo", "show")],
)
def test_an_unknown_command_is_told_what_it_is_called_here(typed, meant, capsys):
    assert main([typed, "runs/mine"]) == 2
    error = capsys.readouterr().err
    assert error == f"error: no command {typed!r}. Did you mean {meant!r}? See smallsteps --help\n"


def test_every_other_name_stands_for_a_command_and_hides_none():
    names = {command.__name__ for command in COMMANDS}
    assert set(OTHER_NAMES.values()) <= names and not names & OTHER_NAMES.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arms", "base", "--arms=direct"], "--arms is given more than once. Give it once, its"),
        (["--budget", "5", "--budget", "6"], "no such file"),
        (["--set", "a=1", "--set", "b=2"], "no such file"),
    ],
)
def test_an_option_of_several_values_is_given_once(options, message, capsys, tmp_path):
    """The trap: the first of two lists was dropped without a word."""
    chains = str(tmp_path / "none.jsonl")
    assert main(["compare", chains, "--student", "bundled", "--out", "o", *options]) == 2
    assert message in capsys.readouterr().err
