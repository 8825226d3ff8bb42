"""Options and fixtures of all tests. pytest-xdist reads this file in the process that hands out
tests, too: torch and transformers are imported where a fixture needs them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# read when torch is loaded: waiting threads sleep, as under the command line; one thread, because
# scores of several threads round differently
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

from smallsteps.threads import in_use, use

if TYPE_CHECKING:
    from smallsteps.students.student import Student
    from tiny_runs import Commands
    from token_server import Threads

pytest_plugins = ["browser_window", "loopback"]

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # of a suite that a shell started in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.fsync = lambda handle: None  # tests kill processes, never the power; disks are slow


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="Device of the tiny students: cpu, cuda.")


loaded = 0
"""Number of loaded modules when all objects were last frozen."""


@pytest.fixture(autouse=True)
def modules_are_no_garbage() -> None:
    """Each training collects garbage several times. Modules never are: where they are not looked
    at, a tiny training takes less than half the time."""
    global loaded
    if len(sys.modules) > loaded + 50:
        gc.collect()
        gc.freeze()
        loaded = len(sys.modules)


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    """Commands set this process's threads, and sums on other threads round otherwise."""
    threads = in_use()
    yield
    if in_use() != threads:
        use(threads)


@pytest.fixture(scope="session")
def tiny(pytestconfig: pytest.Config) -> Callable[..., Student]:
    """`tiny(style, seed=0, talkative=3.0)` makes a fresh tiny student."""
    from tiny_students import make_student

    return partial(make_student, device=pytestconfig.getoption("--device"))


@pytest.fixture(scope="session")
def tiny_chat(pytestconfig: pytest.Config) -> Callable[[Path], Path]:
    """`tiny_chat(folder)` saves a tiny causal model with a chat template and room for a prompt."""
    from tiny_students import CHAT, make_student

    def make(folder: Path) -> Path:
        # never ends by itself, so no reply is empty
        student = make_student("llama", talkative=0.0, device=pytestconfig.getoption("--device"))
        student.model.config.max_position_embeddings = 2048
        student.tokenizer.chat_template = CHAT
        student.model.save_pretrained(folder)
        student.tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    """What starts in place of servers' processes."""
    from token_server import Threads

    threads = Threads()
    monkeypatch.setattr("smallsteps.generation.vllm_engine.ServerProcess", threads)
    yield threads
    assert not threads.running, "a server was left behind"


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """One process that imports and forks for each command, for all files of tests."""
    from tiny_runs import Commands

    commands = Commands(tmp_path_factory.mktemp("log") / "stderr")
    yield commands
    commands.close()
