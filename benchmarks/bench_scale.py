"""What each data stage costs from ten thousand to a million chains: processor seconds, peak memory
and disk.

    python benchmarks/bench_scale.py path/to/gsm8k_cot_llama3_70b/train.jsonl
        [--sizes 10000,100000,1000000] [--stages read,segment] [--student bundled] [--place DIR]

The file of each size repeats the given chains; the questions of each copy name another case, so that
all are different. Each stage runs in a process of its own, on one thread. Processor seconds hardly
depend on what else the machine does. Memory is the peak of the process: 20 MiB before any chain is
read, and 500 MiB where a stage loads a student. Disk is what the stage leaves; the plan leaves
nothing. A run also has a temporary file with the encoded chains, in TMPDIR.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from smallsteps.tasks.files import read_rows, write_rows

TASK = "gsm8k"
READ = """
import sys
from smallsteps.tasks.files import iter_chains
chains = iter_chains(sys.argv[1], "gsm8k")
"""
PYTHON_STAGES = {
    "read": f"{READ}\nfor chain in chains: pass",
    "split": f"{READ}\nfrom smallsteps.tasks.splits import Grouping\n"
    "grouping = Grouping()\n"
    "for chain in chains: grouping.add(chain.problem)\n"
    "grouping.homes(0, (0.8, 0.1, 0.1))",
    "overlap": f"{READ}\nfrom smallsteps.tasks.splits import check_overlap\n"
    "from smallsteps.records import Problem\n"
    "check_overlap(chains, [Problem(str(n), f'Question {n}?') for n in range(1000)])",
}
"""Steps within commands → the program that takes them alone. Each reads the file."""
COMMAND_STAGES = {
    "segment": "segment {file} --task gsm8k --strategy rouge --out {out} --show 0",
    "plan": "compare {file} --task gsm8k --student {student} --arms direct,ases-uni-rouge "
    "--dry-run",
    "run": "compare {file} --task gsm8k --student {student} --arms direct,ases-uni-rouge "
    "--out {out} --set data.validation={validation} --set data.test={test} "
    "--set train.budget=2000 --set train.evaluations=1 --threads 1",
}
"""Stages that are commands → their arguments. The run trains for 2,000 tokens an arm, so that it
shows what reading, checking, cutting and encoding cost."""
FEW = 20
"""Chains of the validation and test files of a run."""
STAGES = (*PYTHON_STAGES, *COMMAND_STAGES)


@dataclass(frozen=True)
class Cost:
    """What one stage cost at one size."""

    chains: int
    stage: str
    processor_seconds: float
    seconds: float
    memory_mib: float
    disk_mib: float

    def row(self) -> str:
        return (
            f"| {self.chains:,} | {self.stage} | {self.processor_seconds:.1f} | {self.seconds:.1f} "
            f"| {self.memory_mib:.0f} | {self.disk_mib:.0f} |"
        )


def varied(chains: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """`count` rows: the chains again and again, with another question and id in each copy."""
    for number in range(count):
        copy, place = divmod(number, len(chains))
        chain = chains[place]
        yield {
            **chain,
            "id": f"{chain['id']}-{copy}",
            "question": f"Case {copy + 1}. {chain['question']}",
        }


def measure(stage: str, chains: int, file: Path, student: str) -> Cost:
    """Runs a stage in a new process. Raises SystemExit with its last line where it fails."""
    out = file.with_name("out.jsonl")
    if stage in PYTHON_STAGES:
        command = [sys.executable, "-c", PYTHON_STAGES[stage], str(file)]
    else:
        places = {name: file.with_name(f"{name}.jsonl") for name in ("validation", "test")}
        arguments = COMMAND_STAGES[stage].format(file=file, out=out, student=student, **places)
        command = [sys.executable, "-m", "smallsteps", *arguments.split()]
    with tempfile.TemporaryFile() as messages:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise SystemExit(f"{stage}: {messages.read().decode().strip()[-500:]}")
    left = [out, *out.rglob("*")] if out.exists() else []
    disk = sum(path.stat().st_size for path in left if path.is_file())
    if out.is_dir():
        shutil.rmtree(out)
    out.unlink(missing_ok=True)
    return Cost(
        chains=chains,
        stage=stage,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        seconds=seconds,
        memory_mib=usage.ru_maxrss / 2**10,
        disk_mib=disk / 2**20,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--student", default="bundled")
    parser.add_argument("--place", type=Path, help="folder for the files; default: temporary")
    options = parser.parse_args()

    rows = [row for _, row in read_rows(options.chains)]
    print("| chains | stage | processor seconds | seconds | peak MiB | disk MiB |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        for size in map(int, options.sizes.split(",")):
            file = Path(folder) / "chains.jsonl"
            copies = varied(rows, size + 2 * FEW)
            write_rows(file, islice(copies, size))
            write_rows(file.with_name("validation.jsonl"), islice(copies, FEW))
            write_rows(file.with_name("test.jsonl"), islice(copies, FEW))
            print(f"| {size:,} | the file | | | | {file.stat().st_size / 2**20:.0f} |", flush=True)
            for stage in options.stages.split(","):
                cost = measure(stage, size, file, options.student)
                print(cost.row(), flush=True)


if __name__ == "__main__":
    main()
