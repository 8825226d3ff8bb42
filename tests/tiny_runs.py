"""A comparison small enough for tests: a student from scratch, a few bundled problems, a few
thousand tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launched_processes import launch_address, launch_place
from smallsteps.disk import digests
from smallsteps.experiment.results import Results

TINY_STUDENT = {
    "vocabulary": 400,
    "d_model": 32,
    "d_kv": 8,
    "heads": 4,
    "d_ff": 32,
    "layers": 1,
    "dropout": 0.1,
}


SHORT = {"max_segment_tokens": 40, "max_chain_tokens": 80}
"""What every task allows in tests of whole runs: students that have learnt little write to the
limit, and tasks leave room for the longest chains."""


def tiny_content(**sections: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "arms": ["direct"],
        "data": {
            "task": "stories",
            "count": 24,
            "validation_count": 4,
            "test_count": 6,
            "difficulty": "easy",
        },
        "student": {"scratch": TINY_STUDENT},
        "train": {"budget": 6000, "evaluations": 2, "update_examples": 8, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 8},
    }
    for name, value in sections.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return content


class Listener:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: set[str] = set()

    def say(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        self.bars.add(what)


def lasting(results: Results) -> Any:
    """What must repeat exactly: everything but seconds, command and provenance."""
    return _without_seconds(results.model_dump(exclude={"command", "provenance"}))


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return [_without_seconds(item) for item in value] if isinstance(value, list) else value


def weights(out: Path) -> dict[str, list[str]]:
    """Digests of the weights of each arm's students."""
    found = {}
    for folder in sorted((out / "arms").iterdir()):
        chosen = {
            name: value
            for name, value in digests(folder / "training", "manifest.json").items()
            if name.endswith(".safetensors")
        }
        found[folder.name] = sorted(chosen.values())
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def answers(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The answers of each arm at each seed, without their seconds."""
    return {
        path.parent.parent.name: [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in rows_of(path)
        ]
        for path in sorted(out.glob("arms/*/page/predictions.jsonl"))
    }


# Imports take seconds and a comparison as small as ours does not: one process imports, and forks
# for each command.
FORK_SERVER = """
import gc, json, os, signal, sys, time
import smallsteps.cli.main, smallsteps.cli.progress, smallsteps.experiment.run, smallsteps.report.page
import smallsteps.report.terminal, smallsteps.experiment.fail_points, smallsteps.students.scratch, smallsteps.training.trainer
import sacrebleu, scipy.stats, transformers.models.auto
from dataclasses import replace
from smallsteps.tasks import TASKS
TASKS.update((name, replace(task, **json.loads(sys.argv[1]))) for name, task in list(TASKS.items()))
os.fsync = lambda handle: None  # as in conftest.py
gc.collect()
gc.freeze()
for line in sys.stdin:
    ends, codes = {}, {}
    for number, (arguments, fail_at, limit, environment) in enumerate(json.loads(line)):
        child = os.fork()
        if child == 0:
            smallsteps.experiment.fail_points.FAIL_AT = fail_at
            os.environ.update(environment)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 1
            try:
                code = smallsteps.cli.main.main(arguments)
            finally:
                os._exit(code)
        ends[child] = (number, time.monotonic() + limit)
    while len(codes) < len(ends):
        for child, (number, end) in ends.items():
            if number in codes:
                continue
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[number] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                ends[child] = (number, float("inf"))
        time.sleep(0.005)
    print(json.dumps([codes[number] for number in sorted(codes)]), flush=True)
"""


class Commands:
    """Runs `smallsteps` commands in processes of their own, which can be killed."""

    def __init__(self, log: Path) -> None:
        self.log = log.open("w+b")
        self.unread = 0
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FORK_SERVER, json.dumps(SHORT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )

    def __call__(self, *arguments: str, limit: float = 1e6, fail_at: str = "") -> int:
        """The exit code; -9 where the process was killed: at the fail-point, or after `limit`
        seconds at the latest."""
        return self._run([(arguments, fail_at, limit, {})])[0]

    def together(self, *commands: Sequence[str], limits: Sequence[float] = ()) -> list[int]:
        """The exit codes of commands that run at the same time; as above."""
        times = limits or [1e6] * len(commands)
        lines = zip(commands, times, strict=True)
        return self._run([(line, "", limit, {}) for line, limit in lines])

    def launched(
        self,
        processes: int,
        *arguments: str,
        limits: Sequence[float] = (),
        fail_at: Mapping[int, str] = {},
    ) -> list[int]:
        """The exit codes of the processes of one launch, as `torchrun` starts them; as above.
        `fail_at`: number of a process → a fail-point at which it is killed."""
        address = launch_address()
        return self._run(
            [
                (
                    arguments,
                    fail_at.get(rank, ""),
                    limits[rank] if limits else 1e6,
                    address | launch_place(rank, processes),
                )
                for rank in range(processes)
            ]
        )

    def _run(
        self, commands: Sequence[tuple[Sequence[str], str, float, dict[str, str]]]
    ) -> list[int]:
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(json.dumps(commands) + "\n")
        self.server.stdin.flush()
        codes: list[int] = json.loads(self.server.stdout.readline())
        return codes

    def forget_errors(self) -> None:
        self.unread = self.log.seek(0, os.SEEK_END)

    def errors(self) -> str:
        """What went to standard error since `forget_errors`, its end."""
        self.log.seek(self.unread)
        return self.log.read().decode()[-2000:]

    def close(self) -> None:
        self.server.communicate(timeout=60)
        self.log.close()
