"""`smallsteps serve` as a person types it: refusals, one line each; a server that Ctrl-C ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from smallsteps.cli import serving
from smallsteps.cli.main import main


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("serve folder", "folder: expected a model folder|config.json"),
        ("serve nowhere/x/y", "no such folder"),
        ("serve a b c d e", "5 students: expected at most 4"),
        ("serve student student", "named twice"),
        ("serve student --task gsm8k", "was trained for task 'numbers', not 'gsm8k'"),
        ("serve student --task gms8k", "Did you mean 'gsm8k'"),
        ("serve student --host 0.0.0.0", "other machines could ask. .*--key-env"),
        ("serve student --key-env NOT_SET", "the environment variable is empty"),
        ("serve student --key-env SHORT_KEY", "at least 16 ASCII characters"),
        (
            "serve student --feedback chains.jsonl",
            r"chains.jsonl:1: no row of feedback: it has no 'verdict'",
        ),
        ("serve student --feedback folder", "--feedback folder: a folder"),
        ("serve student --feedback student/config.json", "--feedback"),
        ("serve student --dtype float99", "float99"),
        ("serve student --port 70000", "70000"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    refused: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    message: str,
) -> None:
    monkeypatch.setenv("SHORT_KEY", "1234")
    refused(f"{command}{'' if '--port' in command else ' --port 0'}", message)


def test_without_the_extra_it_says_what_to_install(
    refused: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    refused("serve student", r"needs starlette: pip install 'smallsteps\[serve\]'")


def test_a_dry_run_loads_the_students_and_says_what_is_served(
    uni_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(uni_student), "bundled", "--port", "0", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "serving student (task numbers)" in out
    assert "serving bundled (no task: continues texts)" in out


def test_ctrl_c_ends_a_server_that_answers(uni_student: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "smallsteps", "serve", str(uni_student), "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    url = re.search(r"http://127\.0\.0\.1:\d+/", lines[1])
    assert url is not None, lines
    question = {"role": "user", "content": "Ann has 3 pens. How many?"}
    reply = httpx2.post(
        f"{url[0]}v1/chat/completions",
        json={"model": "student", "messages": [question]},
        timeout=60,
    )
    assert reply.status_code == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out == "stopped\n"
    assert re.fullmatch(r"POST /v1/chat/completions 200 \d+\.\d{3} s\n", err)
    assert not (tmp_path / "feedback.jsonl").exists()
