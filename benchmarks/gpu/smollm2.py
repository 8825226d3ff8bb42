"""The table of a real student, SmolLM2-135M-Instruct, within a given time on one GPU.

`smollm2.sh` calls it:

    python benchmarks/gpu/smollm2.py DATA OUT [--seconds 560] [--device cuda] [--tiny]
                                     [--chains 2000] [--passes 3] [--jobs N]

One recipe, one run folder. Python, not the GPU, limits so small a student; so every arm at every
seed is a process of its own (`worker.py`), and several share the GPU. An arm begins once what it
needs is there: the segments that its first seed cut, or the direct student that scores its chains.
The main arms have three seeds, all others one.

OUT/main-* and OUT/all-*: results.json, report.html and figure.svg of the main arms at several seeds,
and of all arms at the first seed. OUT/status.json: what each process did. OUT/curves.jsonl: the curves of
every training, finished or not. Whatever has ended stands in OUT, also where time runs out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from smallsteps.experiment.outcome import folder_name, place_of

WORKER = Path(__file__).resolve().parent / "worker.py"
MAIN_ARMS = ("direct", "ases-uni-rouge", "ases-uni-ent", "ases-uni-chunks", "answer-only")
FURTHER_ARMS = (
    "ases-uni-inter",
    "base",
    "self-training",
    "ases-uni-ent*",
    "ases-uni-bleu",
    "ases-dual-rouge",
    "ases-uni-loss",
    "base-fewshot",
)
AGREEMENT = "agreement"
UNTRAINED = ("base", "base-fewshot")
NEEDS_DIRECT = ("ases-uni-ent", "ases-uni-loss", "self-training")
GIB_PER_JOB = 16
"""GPU memory of a process: 12 in the mean of twelve, up to 21."""
TRIES = 2
"""A process that fails (of memory, say) starts once more, and goes on where it was."""
END_SECONDS = 45.0
"""Kept for the results and the figures."""


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


FULL = Sizes((400, 200), 150, None, MAIN_ARMS, FURTHER_ARMS, (1, 2, 3), 32, 2)
TINY = Sizes(
    (3, 2),
    2,
    20,
    ("direct", "ases-uni-ent"),
    ("base",),
    (1, 2),
    4,
    1,
)


@dataclass
class Job:
    """One process."""

    name: str
    """ARM@SEED, or what is made."""
    command: list[str]
    needs: tuple[Path, ...] = ()
    """Files that must be there before it starts."""
    tries: int = 0
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    seconds: float = 0.0
    state: str = "waiting"
    log: IO[bytes] | None = field(default=None, repr=False)


class Table:
    """Runs the jobs and gathers what they leave."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work, self.out = options, work, options.out
        self.sizes = TINY if options.tiny else FULL
        self.began = time.monotonic()
        self.deadline = self.began + options.seconds
        self.run_folder = work / "run"
        self.jobs: list[Job] = []
        self.slots = options.jobs or self._slots()
        sizes = self.sizes
        self.recipe = self._recipe("all", (*sizes.main_arms, *sizes.further_arms), sizes.seeds)

    def _slots(self) -> int:
        """Processes at a time: one for each `GIB_PER_JOB` of GPU memory, at most 8."""
        if self.options.device == "cpu":
            return 1
        import torch

        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return max(1, min(8, int(memory / GIB_PER_JOB)))

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

    def _recipe(self, name: str, arms: tuple[str, ...], seeds: tuple[int, ...]) -> Path:
        sizes, device = self.sizes, self.options.device
        tests = self._tests()
        (task, test), *further = tests.items()
        recipe: dict[str, Any] = {
            "title": f"SmolLM2-135M-Instruct on GSM8K chains, {name}",
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
                "until": "plateau",
                "passes": self.options.passes,
                "patience": 3,
                "evaluations": max(4, round(self.options.passes)),
                "learning_rate": self.options.learning_rate,
                "update_examples": sizes.update_examples,
                "validation_chains": sizes.validation,
                "dtype": "float32" if device == "cpu" else "bfloat16",
                "micro_batch_tokens": 8192,
                "early_stop": "drop",
                "overlong": "drop",
                "target_limit": 400,
            },
            "evaluation": {
                "batch_size": 256,
                "dtype": "float32" if device == "cpu" else "bfloat16",
                "stop_repetition": True,
                "why_problems": 0,
            },
        }
        if "self-training" in arms:
            recipe["baselines"] = {"rounds": 1, "samples": sizes.own_samples}
        path = self.work / f"{name}.yaml"
        path.write_text(json.dumps(recipe, indent=1), encoding="utf-8")  # JSON is YAML
        return path

    # ---- jobs ----

    def _worker(self, what: str, recipe: Path, out: Path, *rest: object) -> list[str]:
        return [sys.executable, str(WORKER), what, str(recipe), str(out), *map(str, rest)]

    def _arm(self, arm: str, seed: int) -> Job:
        """An arm at a seed. What another process makes must be there first."""
        folder = self.run_folder
        needs = []
        if seed != self.sizes.seeds[0] and arm.startswith("ases-") and arm != "ases-uni-ent":
            # cut once, for all seeds
            strategy = folder_name(arm.rpartition("-")[2])
            needs.append(folder / "segments" / strategy / "manifest.json")
        if arm in NEEDS_DIRECT:
            needs.append(folder / "arms" / place_of("direct", seed) / "training" / "manifest.json")
        name = f"{arm}@{seed}"
        command = self._worker("arms", self.recipe, folder, name)
        return Job(name, command, tuple(needs))

    def _arms(self) -> list[Job]:
        """The main arms at the first seed, then at the others; then the further arms."""
        first, *others = self.sizes.seeds
        jobs = [self._arm(arm, first) for arm in self.sizes.main_arms]
        jobs += [self._arm(arm, seed) for arm in self.sizes.main_arms for seed in others]
        return jobs + [self._arm(arm, first) for arm in self.sizes.further_arms] + self._multihop()

    def run(self) -> None:
        """All jobs, within the time."""
        self._all([Job("prepare", self._worker("prepare", self.recipe, self.run_folder))])
        self._all(self._arms(), self.deadline - END_SECONDS)
        self._end()
        self._gather()

    def _all(self, jobs: list[Job], until: float | None = None, slots: int | None = None) -> None:
        """Runs `jobs`, `slots` at a time, until all have ended, no waiting one can start, or the
        time `until`."""
        until, slots = until or self.deadline, slots or self.slots
        self.jobs += jobs
        while time.monotonic() < until:
            for job in jobs:
                if job.process is not None and job.state == "running":
                    code = job.process.poll()
                    if code is not None:
                        self._close(job, "failed" if code else "done")
                        if code and job.tries < TRIES:
                            job.state = "waiting"
            running = sum(job.state == "running" for job in jobs)
            for job in jobs:
                ready = job.state == "waiting" and all(path.exists() for path in job.needs)
                if ready and running < slots:
                    self._start(job)
                    running += 1
            if not running:
                break
            time.sleep(0.25)
        for job in jobs:
            if job.process is not None and job.state == "running":
                job.process.kill()
                job.process.wait()
                self._close(job, "out of time")

    def _start(self, job: Job) -> None:
        job.tries += 1
        job.log = (self.work / f"{folder_name(job.name)}.log").open("wb")
        job.process = subprocess.Popen(job.command, stdout=job.log, stderr=subprocess.STDOUT)
        job.began, job.state = time.monotonic(), "running"

    def _close(self, job: Job, state: str) -> None:
        job.state, job.seconds = state, time.monotonic() - job.began
        if job.log is not None:
            job.log.close()
        print(f"{time.monotonic() - self.began:5.0f} s  {job.name}: {state}, {job.seconds:.0f} s")
        log = (self.work / f"{folder_name(job.name)}.log").read_bytes()
        with (self.out / "log.txt").open("ab") as file:
            file.write(f"== {job.name}: {state}, {job.seconds:.0f} s\n".encode() + log[-60_000:])
        self._gather()

    def _multihop(self) -> list[Job]:
        """A student fine-tuned on multi-hop chains, and its labels of chains that people
        labelled."""
        chains, annotations = self.options.data / "multihop.jsonl", self.options.data / "ircot"
        if not chains.is_file() or not annotations.is_dir():
            return []
        content = json.loads(self.recipe.read_text(encoding="utf-8"))
        data = {"chains": str(chains), "task": "text", "limit": 24 if self.options.tiny else None}
        train = {**content["train"], "source_limit": 1024}
        train |= {"until": "tokens", "passes": 1, "evaluations": 2, "validation_chains": 40}
        content |= {"title": "Multi-hop chains", "arms": ["direct"], "seeds": [1]}
        content |= {"data": data, "train": train}
        content.pop("baselines", None)
        recipe, folder = self.work / "multihop.yaml", self.work / "multihop"
        recipe.write_text(json.dumps(content), encoding="utf-8")
        ended = (folder / "results.json",)
        student = self._student()
        return [
            Job("multihop", self._worker("results", recipe, folder)),
            Job(AGREEMENT, self._worker("agreement", recipe, folder, annotations, student), ended),
        ]

    def _end(self) -> None:
        """The results of the main arms at several seeds, and of all arms at the first seed, as far
        as they have ended."""
        done = {job.name for job in self.jobs if job.state == "done"}
        first, main = self.sizes.seeds[:1], self.sizes.main_arms
        groups = {
            "main": self._most_runs(done),
            "all": (
                tuple(a for a in (*main, *self.sizes.further_arms) if f"{a}@{first[0]}" in done),
                first,
            ),
        }
        merging, results = [], []
        for name, (arms, seeds) in groups.items():
            if "direct" not in arms:
                continue
            recipe, folder = self._recipe(name, arms, seeds), self.work / name
            merge = self._worker("merge", recipe, folder, self.run_folder)
            merging.append(Job(f"merge {name}", merge))
            made = self._worker("results", recipe, folder, "plateau")
            results.append(Job(f"results {name}", made))
        self._all(merging)
        self._all(results)

    def _most_runs(self, done: set[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Of the main arms those that ended at the first n seeds, and these seeds: the n with the
        most trainings, above one."""
        groups = []
        for n in range(2, len(self.sizes.seeds) + 1):
            seeds = self.sizes.seeds[:n]
            arms = (a for a in self.sizes.main_arms if all(f"{a}@{s}" in done for s in seeds))
            groups.append((tuple(arms), seeds))
        return max(groups, key=lambda group: len(group[0]) * len(group[1]))

    def _gather(self) -> None:
        """Copies what there is into OUT."""
        rows = [
            {"job": job.name, "state": job.state, "seconds": round(job.seconds, 1)}
            for job in self.jobs
        ]
        text = json.dumps({"slots": self.slots, "jobs": rows}, indent=1)
        (self.out / "status.json").write_text(text, encoding="utf-8")
        table = self.work / f"{AGREEMENT}.log"
        if table.is_file():
            shutil.copy(table, self.out / f"{AGREEMENT}.txt")
        with (self.out / "curves.jsonl").open("w", encoding="utf-8") as file:
            for path in sorted(self.run_folder.rglob("curves.jsonl")):
                place = path.parent.relative_to(self.run_folder).as_posix()
                for line in path.read_text(encoding="utf-8").splitlines():
                    row = json.loads(line)
                    if "evaluation_seconds" in row:
                        file.write(json.dumps({"place": place, **row}) + "\n")
        for name in ("main", "all"):
            for made in ("results.json", "report.html", "figure.svg", "recipe.yaml"):
                if (self.work / name / made).is_file():
                    shutil.copy(self.work / name / made, self.out / f"{name}-{made}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="student, chains and test sets; see smollm2.sh")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=560, help="of the whole")
    parser.add_argument("--chains", type=int, default=2000, help="to train on")
    parser.add_argument("--passes", type=float, default=3, help="most passes over the chains")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=0, help="processes at a time; 0: by memory")
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
