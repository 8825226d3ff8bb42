"""The program between a server and its owner."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smallsteps.generation import minder

STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)


def started(folder: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, minder.__file__, str(folder), sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_ends_with_the_code_of_a_command_that_ends_and_deletes_the_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    with started(folder, "raise SystemExit(5)") as process:
        assert process.wait(60) == 5
    assert not folder.exists()


def test_a_signal_does_not_end_it_and_the_closed_input_does(tmp_path: Path) -> None:
    code = "import time; print('ready', flush=True); time.sleep(600)"
    with started(tmp_path / "none", code) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 0


def test_a_command_that_ignores_the_request_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(minder, "GRACE", 0.3)
    server = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, process_group=0
    )
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    minder.end_group(server)
    assert server.poll() is None
    minder.kill(server, signal.SIGKILL)
    assert server.wait(60) == -signal.SIGKILL
    minder.kill(server, signal.SIGTERM)  # nobody is there: no error
    server.stdout.close()
