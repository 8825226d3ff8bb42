"""A server's process: it lives as long as its owner, and its last words reach the message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.errors import EngineError
from smallsteps.generation.server_process import ServerProcess, free_port

SLEEPS = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(os.getpid(), child.pid, flush=True)\n"
    "time.sleep(600)\n"
)
"""A server with a process of its own, as vLLM has them."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def pids(log: Path) -> list[int]:
    return [int(word) for word in log.read_text().split()]


def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"0")
    return folder


def test_stopping_ends_all_of_its_processes_and_deletes_the_weights(tmp_path: Path) -> None:
    folder, log = weights(tmp_path), tmp_path / "deep" / "server.log"
    server = ServerProcess([sys.executable, "-c", SLEEPS], folder, str(log))
    until(lambda: log.read_text().endswith("\n"))
    server.check()
    started = pids(log)
    server.stop()
    assert [is_alive(pid) for pid in started] == [False, False]
    assert not folder.exists() and log.exists()


def test_a_kill_of_the_owner_ends_the_server(tmp_path: Path) -> None:
    folder, log = weights(tmp_path), tmp_path / "server.log"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from smallsteps.generation.server_process import ServerProcess\n"
        f"ServerProcess([sys.executable, '-c', {SLEEPS!r}], Path({str(folder)!r}), {str(log)!r})\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    started = pids(log)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    until(lambda: not any(is_alive(pid) for pid in started) and not folder.exists())


def test_ctrl_c_in_a_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    server = ServerProcess([sys.executable, "-c", SLEEPS], weights(tmp_path), str(log))
    until(lambda: log.read_text().endswith("\n"))
    assert os.getpgid(pids(log)[0]) != os.getpgrp()
    server.stop()


def test_the_last_words_of_a_server_that_ended_are_its_errors(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("RuntimeError: of an earlier server\n")
    said = "print('ValueError: no memory'); print('Traceback'); raise SystemExit(7)"
    server = ServerProcess([sys.executable, "-c", said], weights(tmp_path), str(log))

    def ended() -> bool:
        try:
            server.check()
        except EngineError:
            return True
        return False

    until(ended)
    with pytest.raises(EngineError, match=r"ended with exit code 7: ValueError: no memory\. Its"):
        server.check()
    server.stop()
    assert log.read_text().startswith("RuntimeError: of an earlier server\nValueError")


def test_the_words_of_vllm_are_told_without_what_stands_before_them(tmp_path: Path) -> None:
    lines = [
        "(APIServer pid=7) WARNING 11-27 18:30:15 [utils.py:255] like `OSError: [Errno 24] many`",
        "(VllmWorker-0 pid=8) ERROR 11-27 18:30:16 [core.py:9] ValueError: Free memory is too small",
        "(EngineCore pid=8) ERROR 11-27 18:30:16 [core.py:9] Traceback of another error",
        "RuntimeError: Engine core initialization failed.",
    ]
    (tmp_path / "said").write_text("\n".join(lines))
    words = ["sh", "-c", f"cat {tmp_path / 'said'}; sleep 600"]
    server = ServerProcess(words, weights(tmp_path), str(tmp_path / "server.log"))
    until(lambda: "failed." in server.log.read_text())
    said = server.last_lines()
    server.stop()
    assert said.startswith(
        ": ValueError: Free memory is too small | RuntimeError: Engine core initialization failed."
    )


def test_without_errors_the_last_lines_are_named_and_without_lines_nothing(tmp_path: Path) -> None:
    said = "print('one\\ntwo\\nthree\\nfour'); import time; time.sleep(600)"
    server = ServerProcess([sys.executable, "-uc", said], weights(tmp_path))
    until(lambda: "four" in server.log.read_text())
    assert server.last_lines() == f": two | three | four. Its whole output: {server.log}"
    server.stop()
    assert not server.log.exists(), "the log of a server that did well"


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"log .*file/x\.log cannot be written \(.*Name another"):
        ServerProcess(["true"], tmp_path, str(tmp_path / "file" / "x.log"))


def test_free_ports_are_free() -> None:
    assert 1024 < free_port() < 65536
