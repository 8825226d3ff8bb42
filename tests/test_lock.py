"""A lock file: one holder at a time, none after a kill, and a holder may delete it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from smallsteps import lock
from smallsteps.errors import RunFolderError

HOLDER = """
import os, sys, time
from pathlib import Path
from smallsteps import lock
with lock.exclusive(Path(sys.argv[1]), "taken"):
    child = os.fork() if sys.argv[2] == "fork" else 1
    os.write(1, f"{child}\\n".encode())  # one write, so that two processes do not mix
    if child:
        time.sleep(600)
    else:  # ends with its standard input
        sys.stdin.read()
        os._exit(0)
"""


@pytest.fixture
def holder():
    """`holder(path, how)` starts a process that holds the lock until it is killed."""
    processes = []

    def start(path, how="alone"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        for _ in range(2 if how == "fork" else 1):
            assert process.stdout.readline().strip().isdigit()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_while_the_first_lives_and_not_after_its_kill(tmp_path, holder):
    path = tmp_path / "new" / ".lock"
    process = holder(path)
    with pytest.raises(RunFolderError, match=r"^in use$"), lock.exclusive(path, "in use"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_bytes() == b""
    with lock.exclusive(path, "in use"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_outlives_a_killed_holder_does_not_keep_the_lock(tmp_path, holder):
    process = holder(tmp_path / ".lock", "fork")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with lock.exclusive(tmp_path / ".lock", "in use"):
        pass


def test_a_second_holder_of_the_same_process_is_refused_and_free_after_an_error(tmp_path):
    path = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), lock.exclusive(path, "in use"):
        with pytest.raises(RunFolderError, match="in use"), lock.exclusive(path, "in use"):
            pass
        raise ZeroDivisionError
    with lock.exclusive(path, "in use"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="held files cannot be deleted here")
def test_a_lock_file_that_its_holder_deletes_between_opening_and_locking_is_made_anew(
    tmp_path, monkeypatch
):
    import fcntl

    path, flock = tmp_path / "run" / ".lock", fcntl.flock

    def late_flock(file, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        path.parent.rmdir()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late_flock)
    with lock.exclusive(path, "in use"):
        assert path.exists()
        with pytest.raises(RunFolderError), lock.exclusive(path, "in use"):
            pass
        lock.discard(path)
        assert not path.exists()


def test_a_lock_that_cannot_be_made_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), lock.exclusive(tmp_path / "file" / ".lock", "in use"):
        pass


def test_who_waits_gets_the_lock_when_its_holder_is_killed(tmp_path, holder):
    path = tmp_path / "new" / ".lock"
    process = holder(path)
    threading.Timer(0.5, process.kill).start()
    began = time.monotonic()
    with lock.waiting(path):
        assert time.monotonic() - began >= 0.4
        process.wait()


def test_a_look_says_whether_the_lock_is_held_and_does_not_take_it(holder, tmp_path):
    path = tmp_path / "x.lock"
    assert not lock.is_held(path) and not path.exists()
    process = holder(path)
    assert lock.is_held(path)
    assert lock.is_held(path), "the first look left it as it was"
    process.kill()
    process.wait()
    assert not lock.is_held(path)
    with lock.exclusive(path, "taken"):
        assert lock.is_held(path)


@pytest.mark.skipif(os.name != "posix", reason="locks of the operating system are others here")
@pytest.mark.parametrize("number", sorted(lock.NO_LOCKS))
def test_a_file_system_without_locks_is_one_line_and_nobody_works_there(
    tmp_path, monkeypatch, number
):
    """The trap: locks of another kind, which a killed process leaves, or none at all."""
    import fcntl

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for hold in (lock.waiting, lambda path: lock.exclusive(path, "taken")):
        with (
            pytest.raises(RunFolderError, match=r"run: the file system refuses to lock files \("),
            hold(tmp_path / "run" / ".lock"),
        ):
            pytest.fail("nobody may work here")
    assert not lock.is_held(tmp_path / "run" / ".lock")
