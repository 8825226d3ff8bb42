"""Compares direct fine-tuning and AS-ES learning with SmolLM2 within a given time.

`smollm2.sh` calls it:

    python benchmarks/gpu/smollm2.py DATA OUT [--seconds 320] [--device cuda] [--tiny] [--jobs N]

Python, not the GPU, limits so small a student: several runs share the GPU, each a process with a
run folder.

Round 1 is short. It gives a first figure of every arm, tries three learning rates with `direct`,
and measures the speed. Round 2 takes the rate that was best for `direct` on validation, and as many
tokens as fit into the time left, for three seeds of the main arms. Whatever has ended stands in
OUT, also where the script is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from smollm2_report import write_report

BASE = "untrained"
FIRST_RATES = (1e-4, 3e-5, 3e-4)
"""Learning rates that round 1 tries; the other arms of round 1 use the first."""
MAIN_ARMS = ("direct", "ases-uni-rouge", "ases-uni-inter")
SEEDS = (1, 2, 3)
"""Of round 2."""
GIB_PER_JOB = 11
"""GPU memory of a process: weights and optimizer 2, activations or decoding 6, CUDA 1, room 2."""
TOKENS_PER_PASS = 1_150_000
"""Tokens of one pass over the 6,296 training chains, questions and chat template included."""
MOST_PASSES = 5
RESERVE = 12.0
"""Seconds kept for the last report."""


@dataclass(frozen=True)
class Sizes:
    """How much round 1 does, and what both rounds have in common."""

    budget: int
    tests: tuple[int, int]
    """Test questions of rounds 1 and 2."""
    further: int
    """Questions of each further test set in round 2."""
    validation: int
    limit: int | None
    """Chains read; None: all."""
    update_examples: int
    arms: tuple[str, ...]
    seeds: tuple[int, ...]


FULL = Sizes(600_000, (300, 500), 300, 200, None, 32, MAIN_ARMS, SEEDS)
TINY = Sizes(600, (2, 3), 2, 2, 20, 2, MAIN_ARMS[:2], SEEDS[:1])


@dataclass
class Job:
    """One process: a run of one arm or two, or the untrained student's answers."""

    name: str
    round: int
    arms: tuple[str, ...]
    seed: int = 0
    learning_rate: float = 0.0
    budget: int = 0
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    seconds: float = 0.0
    state: str = "waiting"
    log: IO[bytes] | None = field(default=None, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether it is one of round 2's trainings."""
        return self.round == 2 and self.name != BASE


class Schedule:
    """Starts jobs in order, as many at a time as the GPU has memory for.

    Reports whenever one has ended.
    """

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work, self.out = options, work, options.out
        self.sizes = TINY if options.tiny else FULL
        self.began = time.monotonic()
        self.deadline = self.began + options.seconds - RESERVE
        self.tests = (options.data / "tests.txt").read_text(encoding="utf-8").split()
        self.jobs: list[Job] = []
        self.slots = options.jobs or self._slots()
        self.note = f"{self.slots} jobs at a time"
        self._write_tests()

    def _slots(self) -> int:
        """Jobs of a round at a time: one for each `GIB_PER_JOB` of GPU memory, at most 9."""
        if self.options.device == "cpu":
            return 1
        import torch

        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return max(1, min(9, int(memory / GIB_PER_JOB)))

    def _write_tests(self) -> None:
        """The first questions of each test set, for each round. The first set is the main one."""
        for number, name in enumerate(self.tests):
            text = (self.options.data / f"{name}.jsonl").read_text(encoding="utf-8")
            lines = text.rstrip("\n").split("\n")
            for round_, most in zip((1, 2), self.sizes.tests, strict=True):
                kept = lines[: most if number == 0 else self.sizes.further]
                self.test_file(round_, name).write_text("\n".join(kept) + "\n", encoding="utf-8")

    def test_file(self, round_: int, name: str = "") -> Path:
        """The questions of a test set (the main one unless named)."""
        return self.work / f"{name or self.tests[0]}-round{round_}.jsonl"

    def command(self, job: Job) -> list[str]:
        """The command line of a job."""
        program, device = [sys.executable, "-m", "smallsteps"], self.options.device
        student = str(self.options.data / "smollm2.gguf")
        if job.name == BASE:
            asked = ["solve", student, str(self.test_file(job.round)), "--task", self.tests[0]]
            answers = str(self.folder(job) / "answers.jsonl")
            how = ["--device", device, "--batch-size", "128", "--threads", "1"]
            return [*program, *asked, "--out", answers, *how]
        sizes = self.sizes
        further = self.tests[1:2] if job.round == 2 else []
        recipe: dict[str, Any] = {
            "title": f"SmolLM2, round {job.round}: {job.name}",
            "arms": list(job.arms),
            "seeds": [job.seed],
            "data": {
                "chains": str(self.options.data / "chains.jsonl"),
                "task": self.tests[0],
                "limit": sizes.limit,
                "test": str(self.test_file(job.round)),
                "also_test": {name: str(self.test_file(2, name)) for name in further},
            },
            "student": {"name": student, "device": device},
            "train": {
                "budget": job.budget,
                "learning_rate": job.learning_rate,
                "update_examples": sizes.update_examples,
                "evaluations": 1 if job.round == 1 else 2,
                "validation_chains": sizes.validation,
                "dtype": "float32" if device == "cpu" else "bfloat16",
                "micro_batch_tokens": 4096,
                "early_stop": "drop",
                "overlong": "drop",
                "target_limit": 400,
            },
            "evaluation": {"batch_size": 128, "stop_repetition": True},
        }
        path = self.work / f"{job.name}.yaml"
        path.write_text(json.dumps(recipe, indent=1), encoding="utf-8")  # JSON is YAML
        return [*program, "run", str(path), "--out", str(self.folder(job)), "--threads", "1"]

    def folder(self, job: Job) -> Path:
        """The run folder of a job."""
        return self.work / "runs" / job.name

    def first_round(self) -> list[Job]:
        """The untrained student, every arm once, and `direct` at further learning rates."""
        rate, budget = FIRST_RATES[0], self.sizes.budget
        jobs = [Job("round1-direct", 1, ("direct", "ases-uni-ent"), 0, rate, budget)]
        further = () if self.options.tiny else FIRST_RATES[1:]
        jobs += [
            Job(f"round1-direct-{other:g}", 1, ("direct",), 0, other, budget) for other in further
        ]
        jobs += [Job(f"round1-{arm}", 1, (arm,), 0, rate, budget) for arm in self.sizes.arms[1:]]
        return [*jobs, Job(BASE, 2, ())]

    def second_round(self) -> list[Job]:
        """The main arms at all seeds, sized by what round 1 measured.

        Empty where too little time is left.
        """
        measured = [(job, facts) for job in self.jobs if (facts := self._direct(job)) is not None]
        if not measured:
            self.note += "; no round 2, since round 1 measured nothing"
            return []
        best, facts = max(measured, key=lambda pair: pair[1]["validation"])
        first = measured[0][1]
        # all of round 2 runs at once; where memory is short, with fewer seeds
        seeds = self.sizes.seeds[: max(1, self.slots // len(self.sizes.arms))]
        together = len(self.sizes.arms) * len(seeds)
        before = min(self.slots, len(self.first_round()))
        rate = min(1.0, before / together) * first["train_tokens"] / max(first["seconds"], 1e-3)
        # start, evaluations and answers; round 2 answers about twice as many questions
        idle = 1.6 * max(20.0, first["wall"] - first["seconds"])
        left = (self.deadline - time.monotonic()) * 0.9 - idle
        budget = int(min(rate * left, MOST_PASSES * TOKENS_PER_PASS))
        if self.options.tiny:
            budget = self.sizes.budget
        self.note += (
            f"; learning rate {best.learning_rate:g} (validation {facts['validation']:.1f}); "
            f"{rate:,.0f} tokens/s a job; {max(left, 0):.0f} s of training for round 2, "
            f"{max(budget, 0):,} tokens"
        )
        if budget < self.sizes.budget:
            self.note += ": too few, no round 2"
            return []
        return [
            Job(f"round2-{arm}-seed{seed}", 2, (arm,), seed, best.learning_rate, budget)
            for seed in seeds
            for arm in self.sizes.arms
        ]

    def _direct(self, job: Job) -> dict[str, float] | None:
        """Validation figure, tokens and seconds of a `direct` arm of round 1; None: not ended."""
        path = self.folder(job) / "arms" / f"direct-seed{job.seed}" / "training" / "trained.json"
        if job.round != 1 or "direct" not in job.arms or not path.is_file():
            return None
        row = json.loads(path.read_text(encoding="utf-8"))
        answers = path.parents[1] / "answers" / "parts.jsonl"
        ended = answers.stat().st_mtime if answers.is_file() else time.time()
        wall = ended - (self.work / f"{job.name}.yaml").stat().st_mtime
        return {
            "wall": wall,
            **{name: float(row[name]) for name in ("validation", "train_tokens", "seconds")},
        }

    def run(self) -> None:
        """All jobs, within the time."""
        self.jobs = self.first_round()
        planned = False
        while time.monotonic() < self.deadline:
            self._reap()
            probes = [job for job in self.jobs if job.round == 1 and "direct" in job.arms]
            if not planned and all(self._answered(job) for job in probes):
                planned = True
                more = self.second_round()
                self.jobs += more
                self._say(self.note)
            for job in self.jobs:
                running = [other for other in self.jobs if other.state == "running"]
                if job.state == "waiting" and self._is_free(job, running):
                    self._start(job)
            running = [job for job in self.jobs if job.state == "running"]
            if planned and not running:
                break
            time.sleep(0.5)
        for job in self.jobs:
            if job.process is not None and job.state == "running":
                job.process.kill()
                job.process.wait()
                self._end(job, "out of time")
        self._report()

    def _is_free(self, job: Job, running: list[Job]) -> bool:
        """Whether a job may start. What is left of round 1 does not keep round 2 waiting on a GPU:
        `GIB_PER_JOB` has room for that."""
        if self.options.device == "cpu":
            return not running
        return sum(other.is_main == job.is_main for other in running) < self.slots

    def _answered(self, job: Job) -> bool:
        """Whether a job's `direct` arm has its answers, or never will."""
        answers = self.folder(job) / "arms" / f"direct-seed{job.seed}" / "answers" / "manifest.json"
        return job.state in ("done", "failed") or answers.is_file()

    def _start(self, job: Job) -> None:
        self.folder(job).parent.mkdir(parents=True, exist_ok=True)
        if job.name == BASE:
            self.folder(job).mkdir()
        job.log = (self.work / f"{job.name}.log").open("wb")
        job.process = subprocess.Popen(self.command(job), stdout=job.log, stderr=subprocess.STDOUT)
        job.began, job.state = time.monotonic(), "running"

    def _reap(self) -> None:
        for job in self.jobs:
            if (
                job.process is not None
                and job.state == "running"
                and job.process.poll() is not None
            ):
                self._end(job, "failed" if job.process.returncode else "done")
                self._report()

    def _end(self, job: Job, state: str) -> None:
        job.state, job.seconds = state, time.monotonic() - job.began
        if job.log is not None:
            job.log.close()
        self._say(f"{job.name}: {state}, {job.seconds:.0f} s")
        log = (self.work / f"{job.name}.log").read_bytes()
        with (self.out / "log.txt").open("ab") as file:
            file.write(
                f"== {job.name}: {state}, {job.seconds:.0f} s\n".encode() + log[-60_000:] + b"\n"
            )

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self.began:5.0f} s  {line}", flush=True)

    def _report(self) -> None:
        rows = [
            {
                "job": job.name,
                "round": job.round,
                "arms": list(job.arms),
                "seed": job.seed,
                "state": job.state,
                "learning_rate": job.learning_rate,
                "budget": job.budget,
                "seconds": round(job.seconds, 1),
                "folder": str(self.folder(job)),
                "test": str(self.test_file(job.round)),
                "task": self.tests[0],
            }
            for job in self.jobs
        ]
        try:
            write_report(self.out, rows, self.note, time.monotonic() - self.began)
        except (
            Exception
        ) as error:  # a report that fails must not stop the runs; the next one may succeed
            self._say(f"no report: {type(error).__name__}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="student, chains and test sets, unpacked by smollm2.sh"
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=320, help="of the whole")
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--jobs", type=int, default=0, help="processes at a time; 0: by the GPU's memory"
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself")
    options = parser.parse_args()
    options.data = options.data.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "log.txt").write_bytes(b"")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        Schedule(options, Path(folder)).run()


if __name__ == "__main__":
    main()
