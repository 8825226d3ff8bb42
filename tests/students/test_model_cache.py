"""The cache of converted models: made once, whole or not at all, and where the user wants it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smallsteps.errors import StudentError
from smallsteps.students.model_cache import cache_folder, is_made, made_once, model_folder

MAKER = """
import sys, time
from pathlib import Path
from smallsteps.students.model_cache import made_once, model_folder

def make(draft):
    with Path(sys.argv[1]).open("a") as log:
        log.write("made\\n")
    (draft / "half").write_text("x")
    print("started", flush=True)
    time.sleep(float(sys.argv[2]))
    (draft / "whole").write_text("x")

made_once(model_folder("m"), make, "m")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSTEPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def maker(log: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(log), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_folder_of_the_cache_is_the_users_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SMALLSTEPS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "smallsteps"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "smallsteps"


def test_what_is_made_is_not_made_again_unless_a_file_is_gone() -> None:
    calls = []

    def make(draft: Path) -> None:
        calls.append(draft)
        (draft / "weights").write_text("x")

    folder = model_folder("m")
    assert not is_made(folder)
    assert made_once(folder, make, "m") == folder and is_made(folder)
    made_once(folder, make, "m")
    assert len(calls) == 1
    (folder / "weights").unlink()
    assert not is_made(folder)
    made_once(folder, make, "m")
    assert len(calls) == 2 and is_made(folder)


def test_what_fails_leaves_nothing() -> None:
    def fail(draft: Path) -> None:
        (draft / "half").write_text("x")
        raise StudentError("no such architecture")

    with pytest.raises(StudentError, match="no such architecture"):
        made_once(model_folder("m"), fail, "m")
    assert [path.name for path in model_folder("m").parent.iterdir() if path.is_dir()] == []


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    with maker(tmp_path / "log", 2) as first:
        assert first.stdout is not None and first.stdout.readline() == "started\n"
        with maker(tmp_path / "log", 0) as second:
            assert (first.wait(60), second.wait(60)) == (0, 0)
    assert (tmp_path / "log").read_text() == "made\n"
    assert is_made(model_folder("m"))


def test_after_a_kill_the_next_process_makes_it_and_clears_what_is_left(
    tmp_path: Path, cache: Path
) -> None:
    with maker(tmp_path / "log", 600) as killed:
        assert killed.stdout is not None and killed.stdout.readline() == "started\n"
        os.kill(killed.pid, signal.SIGKILL)
    assert not is_made(model_folder("m"))
    with maker(tmp_path / "log", 0) as next_one:
        assert next_one.wait(60) == 0
    assert is_made(model_folder("m"))
    assert [path.name for path in (cache / "models").iterdir() if path.is_dir()] == ["m"]
    files = json.loads((model_folder("m") / "manifest.json").read_text())["files"]
    assert sorted(files) == ["half", "whole"]


def test_a_cache_that_cannot_be_written_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SMALLSTEPS_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        StudentError, match=r"^m: the cache .*file cannot be written .*export SMALL"
    ):
        made_once(model_folder("m"), lambda draft: None, "m")
