"""Several processes in one run folder: a stage is made by one of them, a killed one frees its
stage, and whoever finds a stage taken makes another first."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from smallsteps import lock
from smallsteps.experiment.ownership import is_anybody_working
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.workers import Workers
from tiny_runs import Listener

OTHER = """
import sys, time
from pathlib import Path
from smallsteps.experiment.ownership import is_anybody_working
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.workers import Workers
workers = Workers(Path(sys.argv[1]), sys.argv[2], Silent())
with workers.moment():
    membership = workers.joined()
    membership.__enter__()
with workers.making("arms/direct-seed0/training"):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """`other(digest)` starts a process that joins, and makes a stage until it is killed."""
    processes = []

    def start(digest="a" * 20):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(tmp_path), digest], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def workers_in(path, digest="a" * 20, reporter=None):
    return Workers(path, digest, reporter or Silent())


def taken(workers, stage):
    """Whether another process makes the stage now."""
    said = []

    def make(_):
        if said:  # the second try: the first found it taken
            return True
        said.append(stage)
        with workers.making(stage):
            return False

    wait, workers._wait_for_any = workers._wait_for_any, lambda stages: None
    try:
        return workers.taking([0], make)[0]
    finally:
        workers._wait_for_any = wait


@contextmanager
def joined(workers):
    with workers.moment():
        membership = workers.joined()
        membership.__enter__()
    try:
        yield workers
    finally:
        membership.__exit__(None, None, None)


def test_who_works_is_known_and_leaves_nothing_but_the_lock(tmp_path):
    assert not is_anybody_working(tmp_path)
    with joined(workers_in(tmp_path)) as first, joined(workers_in(tmp_path)) as second:
        assert is_anybody_working(tmp_path)
        assert first.others() and second.others()
        with first.making("arms/one"):
            pass
    assert not is_anybody_working(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_killed_process_counts_no_more_and_frees_its_stage(tmp_path, other):
    process = other()
    mine = workers_in(tmp_path)
    with joined(mine):
        assert mine.others()
        assert taken(mine, "arms/direct-seed0/training")
        kill(process)
        assert not mine.others()
        with mine.making("arms/direct-seed0/training"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"], "the killed one's too"


def test_processes_of_another_recipe_are_told_from_those_of_the_same(tmp_path, other):
    other("b" * 20)
    with joined(workers_in(tmp_path)) as mine, joined(workers_in(tmp_path)):
        assert mine.others(of_other_recipes=True)
    with joined(workers_in(tmp_path, "b" * 20)) as same:
        assert same.others() and not same.others(of_other_recipes=True)


def test_a_taken_place_comes_last_and_results_keep_the_order(tmp_path):
    listener = Listener()
    mine, its = workers_in(tmp_path, reporter=listener), workers_in(tmp_path)
    order = []

    def make(place):
        with mine.making(place):
            order.append(place)
            return place.upper()

    held, free = threading.Event(), threading.Event()

    def hold():
        with its.making("b"):
            held.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    threading.Timer(0.5, free.set).start()
    assert mine.taking("abc", make) == ["A", "B", "C"]
    holder.join()
    assert order == ["a", "c", "b"]
    assert listener.lines == ["waiting for other processes, which make b"]


def test_a_stage_within_a_taken_place_is_not_waited_for_either(tmp_path):
    mine, its = workers_in(tmp_path), workers_in(tmp_path)
    tries = []

    def make(place):
        tries.append(place)
        with mine.making(place), mine.making("shared"):
            return place

    with its.making("shared"), pytest.raises(TimeoutError), limit(1.5):
        mine.taking(["a"], make)
    assert tries == ["a"], "it is tried again when the shared stage is free, not before"
    assert mine.taking(["a"], make) == ["a"]


@contextmanager
def limit(seconds):
    """Raises TimeoutError in the block after so many seconds."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_outside_taking_a_process_waits_and_says_for_what(tmp_path, other):
    process, listener = other(), Listener()
    mine = workers_in(tmp_path, reporter=listener)
    threading.Timer(0.5, kill, [process]).start()
    began = time.monotonic()
    with mine.making("arms/direct-seed0/training"):
        assert time.monotonic() - began > 0.3
    assert listener.lines == ["waiting for another process, which makes arms/direct-seed0/training"]


def test_an_error_within_a_place_goes_through_and_waiting_is_as_before(tmp_path, other):
    other()
    mine = workers_in(tmp_path, reporter=Listener())
    with pytest.raises(ZeroDivisionError):
        mine.taking([0], lambda place: 1 / place)
    with pytest.raises(TimeoutError), limit(0.5), mine.making("arms/direct-seed0/training"):
        pass


def test_a_lock_that_another_process_only_looks_at_is_not_taken(tmp_path):
    path, listener = tmp_path / ".locks" / "stage-x", Listener()
    done = threading.Event()

    def look():
        while not done.is_set():
            lock.is_held(path)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(50):
            with workers_in(tmp_path, reporter=listener).making("x"):
                pass
    finally:
        done.set()
        looker.join()
    assert listener.lines == [], "nobody waited"
