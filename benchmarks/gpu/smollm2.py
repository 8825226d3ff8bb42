"""The table of a real student, SmolLM2-135M-Instruct, within a given time on one GPU.

`smollm2.sh` calls it:

    python benchmarks/gpu/smollm2.py DATA OUT [--seconds 560] [--device cuda] [--tiny]
                                     [--chains 2000] [--passes 3] [--jobs N]

Two runs: the main arms at three seeds, then further arms at one seed. The GPU has time for several
students of this size at once, so several processes run the same recipe in the same folder, and each
takes the arms that are free.

OUT/main-* and OUT/further-*: what `smallsteps show` says of each run (JSON, page, figure), finished
or not. OUT/main.tar.gz, OUT/further.tar.gz: the run folders without weights, from which `show` and
paired tests can be made again anywhere. OUT/status.json: what each process did. OUT/curves.jsonl:
the curves of every training, finished or not. All of it is renewed whenever an arm ends, also where
time runs out or the machine is lost."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

MAIN_ARMS = ("direct", "ases-uni-rouge", "ases-uni-ent", "ases-uni-chunks", "answer-only")
FURTHER_ARMS = (
    "base",
    "ases-uni-inter",
    "self-training",
    "ases-uni-ent*",
    "ases-uni-bleu",
    "ases-dual-rouge",
    "ases-uni-loss",
    "base-fewshot",
)
LABELLED = Path(__file__).resolve().parents[1] / "labelled_chains.py"
SMALLSTEPS = [sys.executable, "-m", "smallsteps"]
GIB_PER_JOB = 16
"""GPU memory of a process: 9 in the mean of six, up to 21."""
TRIES = 2
"""A process that fails (of memory, say) starts once more, and the run goes on where it was."""
END_SECONDS = 15.0
"""Kept for the last look at the results."""


@dataclass(frozen=True)
class Sizes:
    tests: tuple[int, int]
    """Questions of the first test set, and of each other."""
    validation: int
    chains: int | None
    """Chains to train on at most; None: `--chains`."""
    main_arms: tuple[str, ...]
    further_arms: tuple[str, ...]
    seeds: tuple[int, ...]
    update_examples: int
    own_samples: int


FULL = Sizes((400, 200), 100, None, MAIN_ARMS, FURTHER_ARMS, (1, 2, 3), 32, 2)
TINY = Sizes((3, 2), 2, 20, ("direct", "ases-uni-ent"), ("base",), (1, 2), 4, 1)


@dataclass
class Job:
    """One process."""

    name: str
    command: list[str]
    tries: int = 0
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    seconds: float = 0.0
    state: str = "waiting"
    log: IO[bytes] | None = field(default=None, repr=False)


class Table:
    """Starts the processes and gathers what they leave."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work, self.out = options, work, options.out
        self.sizes = TINY if options.tiny else FULL
        self.began = time.monotonic()
        self.deadline = self.began + options.seconds
        self.jobs: list[Job] = []
        self.slots = options.jobs or self._slots()
        self.ended_arms = -1

    def run(self) -> None:
        """All runs, within the time."""
        sizes, runs = self.sizes, self.options.runs.split(",")
        if "main" in runs:
            self._all(self._workers("main", sizes.main_arms, sizes.seeds))
        if "further" in runs:
            self._all(self._workers("further", ("direct", *sizes.further_arms), sizes.seeds[:1]))
        for job in self._multihop() if "multihop" in runs else ():
            self._all([job])
        self._gather(last=True)

    # ---- what runs ----

    def _slots(self) -> int:
        """Processes at a time: one for each `GIB_PER_JOB` of GPU memory, at most 8."""
        if self.options.device == "cpu":
            return 2
        import torch

        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return max(1, min(8, int(memory / GIB_PER_JOB)))

    def _workers(self, name: str, arms: tuple[str, ...], seeds: tuple[int, ...]) -> list[Job]:
        """Processes that make one run together."""
        recipe = self._recipe(name, arms, seeds)
        command = [*SMALLSTEPS, "run", str(recipe), "--out", str(self.work / name)]
        count = min(self.slots, len(arms) * len(seeds))
        return [Job(f"{name} {number + 1}", command) for number in range(count)]

    def _recipe(self, name: str, arms: tuple[str, ...], seeds: tuple[int, ...]) -> Path:
        sizes, device = self.sizes, self.options.device
        dtype = "float32" if device == "cpu" else "bfloat16"
        (task, test), *further = self._tests().items()
        recipe: dict[str, Any] = {
            "title": f"SmolLM2-135M-Instruct on GSM8K chains, {name} arms",
            "arms": list(arms),
            "seeds": list(seeds),
            "data": {
                "chains": str(self.options.data / "chains.jsonl"),
                "task": task,
                # a tenth is for validation, and a few chains have a wrong answer
                "limit": round(1.13 * (sizes.chains or self.options.chains)),
                "test": str(test),
                "also_test": {other: str(file) for other, file in further},
            },
            "student": {"name": str(self._student()), "device": device},
            "train": {
                "until": "passes",
                "passes": self.options.passes,
                "evaluations": max(3, round(self.options.passes)),
                "learning_rate": self.options.learning_rate,
                "update_examples": sizes.update_examples,
                "validation_chains": sizes.validation,
                "dtype": dtype,
                "micro_batch_tokens": 8192,
                "early_stop": "drop",
                "overlong": "drop",
                "target_limit": 400,
            },
            "evaluation": {
                "batch_size": 256,
                "dtype": dtype,
                "stop_repetition": True,
                "why_problems": 0,
            },
        }
        if "self-training" in arms:
            recipe["baselines"] = {"rounds": 1, "samples": sizes.own_samples}
        return self._write(name, recipe)

    def _write(self, name: str, recipe: dict[str, Any]) -> Path:
        path = self.work / f"{name}.yaml"
        path.write_text(json.dumps(recipe, indent=1), encoding="utf-8")  # JSON is YAML
        return path

    def _tests(self) -> dict[str, Path]:
        """Name of a test set → a file of its first questions."""
        files = {}
        names = (self.options.data / "tests.txt").read_text(encoding="utf-8").split()
        for number, name in enumerate(names):
            text = (self.options.data / f"{name}.jsonl").read_text(encoding="utf-8")
            kept = text.rstrip("\n").split("\n")[: self.sizes.tests[number > 0]]
            files[name] = self.work / f"{name}.jsonl"
            files[name].write_text("\n".join(kept) + "\n", encoding="utf-8")
        return files

    def _student(self) -> Path:
        """A folder with random weights, where `smollm2.sh --random` made one; else the GGUF
        file."""
        folder: Path = self.options.data / "student"
        return folder if folder.is_dir() else self.options.data / "smollm2.gguf"

    def _multihop(self) -> Iterator[Job]:
        """A student fine-tuned on multi-hop chains, and its labels of chains that people labelled;
        one job after the other."""
        chains, annotations = self.options.data / "multihop.jsonl", self.options.data / "ircot"
        if not chains.is_file() or not annotations.is_dir():
            return
        recipe, folder = self.work / "multihop.yaml", self.work / "multihop"
        labelled = self.work / "labelled.jsonl"
        content = json.loads(self._recipe("multihop", ("direct",), (1,)).read_text("utf-8"))
        content["data"] = {"chains": str(chains), "task": "text"}
        content["data"]["limit"] = 24 if self.options.tiny else None
        content["train"] |= {"source_limit": 1024, "passes": 1, "validation_chains": 40}
        content["train"] |= {"evaluations": 2}
        self._write("multihop", content)
        yield Job("multihop", [*SMALLSTEPS, "run", str(recipe), "--out", str(folder)])
        yield Job("labelled", [sys.executable, str(LABELLED), str(annotations), str(labelled)])
        if not (folder / "results.json").is_file():
            return
        best = json.loads((folder / "results.json").read_text("utf-8"))["best"]["folder"]
        students = ["--student", str(folder / best), "--untrained-student", str(self._student())]
        how = ["--whole-segments", "--task", "text", "--closing", "keep"]
        yield Job(
            "agreement", [*SMALLSTEPS, "segment", str(labelled), "--agreement", *how, *students]
        )

    # ---- processes ----

    def _all(self, jobs: list[Job]) -> None:
        """Runs `jobs` side by side until all have ended or the time is over."""
        self.jobs += jobs
        until = self.deadline - END_SECONDS
        while time.monotonic() < until:
            for job in jobs:
                code = job.process.poll() if job.process and job.state == "running" else None
                if code is not None:
                    self._close(job, "failed" if code else "done")
                if job.state == "waiting" or (job.state == "failed" and job.tries < TRIES):
                    self._start(job)
            if not any(job.state == "running" for job in jobs):
                break
            self._gather()
            time.sleep(0.25)
        for job in jobs:
            if job.process is not None and job.state == "running":
                job.process.kill()
                job.process.wait()
                self._close(job, "out of time")

    def _start(self, job: Job) -> None:
        job.tries += 1
        job.log = self._log_of(job).open("wb")
        job.process = subprocess.Popen(job.command, stdout=job.log, stderr=subprocess.STDOUT)
        job.began, job.state = time.monotonic(), "running"

    def _close(self, job: Job, state: str) -> None:
        job.state, job.seconds = state, time.monotonic() - job.began
        if job.log is not None:
            job.log.close()
        print(f"{time.monotonic() - self.began:5.0f} s  {job.name}: {state}, {job.seconds:.0f} s")
        with (self.out / "log.txt").open("ab") as file:
            file.write(f"== {job.name}: {state}, {job.seconds:.0f} s\n".encode())
            file.write(self._log_of(job).read_bytes()[-60_000:])

    def _log_of(self, job: Job) -> Path:
        return self.work / f"{job.name.replace(' ', '-')}.log"

    # ---- what comes back ----

    def _gather(self, last: bool = False) -> None:
        """Renews OUT where another arm has ended. last: also what `show` says."""
        ended = len([*self.work.glob("*/arms/*/page/result.json")])
        if ended == self.ended_arms and not last:
            return
        self.ended_arms = ended
        rows = [
            {"job": job.name, "state": job.state, "seconds": round(job.seconds, 1)}
            for job in self.jobs
        ]
        text = json.dumps({"slots": self.slots, "ended arms": ended, "jobs": rows}, indent=1)
        (self.out / "status.json").write_text(text, encoding="utf-8")
        self._write_curves()
        for name in ("main", "further"):
            if (self.work / name / "recipe.yaml").is_file():
                self._pack(self.work / name)
        if last:
            self._show()

    def _write_curves(self) -> None:
        with (self.out / "curves.jsonl").open("w", encoding="utf-8") as file:
            for path in sorted(self.work.glob("*/arms/*/training/**/curves.jsonl")):
                place = path.parent.relative_to(self.work).as_posix()
                for line in path.read_text(encoding="utf-8").splitlines():
                    if '"evaluation_seconds"' in line and line.endswith("}"):
                        file.write(json.dumps({"place": place, **json.loads(line)}) + "\n")

    def _pack(self, run: Path) -> None:
        """The run folder without weights and training states."""
        draft = self.out / f".{run.name}.tar.gz"
        with tarfile.open(draft, "w:gz", compresslevel=1) as packed:
            for path in sorted(run.rglob("*")):
                hidden = any(part.startswith(".") for part in path.relative_to(run).parts)
                if path.suffix in (".json", ".jsonl", ".yaml", ".html", ".svg") and not hidden:
                    if "training" in path.parts and path.name.startswith("tokenizer"):
                        continue
                    try:
                        packed.add(path, path.relative_to(run.parent))
                    except FileNotFoundError:  # a draft, or a checkpoint that is deleted meanwhile
                        continue
        draft.replace(self.out / f"{run.name}.tar.gz")

    def _show(self) -> None:
        for name in ("main", "further"):
            if not (self.work / name / "recipe.yaml").is_file():
                continue
            files = ["--page", str(self.out / f"{name}-report.html")]
            command = [*SMALLSTEPS, "show", str(self.work / name), "--json", *files]
            with (self.out / f"{name}-results.json").open("wb") as file:
                subprocess.run(command, stdout=file, check=False)
        agreement = self._log_of(Job("agreement", []))
        if agreement.is_file():
            shutil.copy(agreement, self.out / "agreement.txt")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="student, chains and test sets; see smollm2.sh")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=560, help="of the whole")
    parser.add_argument("--chains", type=int, default=2000, help="to train on")
    parser.add_argument("--passes", type=float, default=3, help="over the chains")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=0, help="processes at a time; 0: by memory")
    parser.add_argument("--runs", default="main,further,multihop", help="in this order")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself")
    options = parser.parse_args()
    options.data = options.data.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "log.txt").write_bytes(b"")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=os.environ.get("SMALLSTEPS_WORK")) as folder:
        Table(options, Path(folder)).run()


if __name__ == "__main__":
    main()
