"""The same run by one process with all cores, by one launch of a process for each core, and by one
command for each core: seconds from start to comparison, in rounds that alternate.

    python benchmarks/bench_processes.py [RECIPE] [--processes 2] [--rounds 2] [KEY=VALUE ...]

Use an idle machine: other jobs slow each way by another factor. `train.until=tokens` makes the
work equal; of a plateau, rounding may change the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import record

ONE, LAUNCH, COMMANDS = "one process", "one launch", "several commands"


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )


def measure(way: str, recipe: list[str], processes: int, place: Path) -> float:
    """Seconds of one run. Raises SystemExit with the end of its output where it fails."""
    out, log = place / "run", place / "log.txt"
    run = ["-m", "smallsteps", "run", *recipe, "--out", str(out)]
    alone = [sys.executable, *run]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    commands = {
        ONE: [[*alone, "--threads", str(processes)]],
        LAUNCH: [[*launch, "--nproc-per-node", str(processes), *run, "--threads", "1"]],
        COMMANDS: [[*alone, "--threads", "1"]] * processes,
    }[way]
    began = time.perf_counter()
    started = [start(command, log) for command in commands]
    codes = [process.wait() for process in started]
    seconds = time.perf_counter() - began
    if any(codes):
        raise SystemExit(f"{way}: {log.read_text(encoding='utf-8')[-1500:]}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="*", default=["demo"], help="a recipe, then KEY=VALUE")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {ONE: [], LAUNCH: [], COMMANDS: []}
    for _ in range(options.rounds):
        for way, values in seconds.items():
            with tempfile.TemporaryDirectory() as place:
                values.append(measure(way, options.recipe, options.processes, Path(place)))
    for way, values in seconds.items():
        record(f"{way}, {options.processes} cores", values, "s")
    for way in (LAUNCH, COMMANDS):
        ratios = [a / b for a, b in zip(seconds[way], seconds[ONE], strict=True)]
        record(f"{way} / {ONE}", ratios, wanted="at most 1.15")


if __name__ == "__main__":
    main()
