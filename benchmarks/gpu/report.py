"""Runs every part within its time and writes the report; `run.sh` calls it.

Each part is a process of its own with a limit in seconds. A part that fails or runs out of time
does not stop the others; its last lines stand in the report. Parts start only while the whole has
time left."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

GPU = Path(__file__).resolve().parent
BENCHMARKS, ROOT = GPU.parent, GPU.parents[1]


@dataclass(frozen=True)
class Part:
    """One thing to check or measure."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    """Run at the same time; all must succeed."""
    limit: int
    """Seconds."""


@dataclass
class Outcome:
    part: Part
    state: str
    """passed, failed, out of time, not started."""
    seconds: float = 0.0
    output: str = ""
    figures: list[dict[str, object]] = field(default_factory=list)


def parts(device: str, tiny: bool, work: Path) -> list[Part]:
    """All parts, the wanted figures first."""
    python = sys.executable
    chains = str(chains_file(work))
    at = ("--device", device, *(("--threads", "1") if device == "cpu" else ()))

    def bench(name: str, *options: object) -> tuple[str, ...]:
        return (python, str(BENCHMARKS / name), *map(str, options), *at)

    def gpu(name: str, *options: object) -> tuple[str, ...]:
        return (python, str(GPU / name), *map(str, options), *at)

    def demo(recipe: str, *changes: str) -> tuple[str, ...]:
        out = str(work / recipe.replace("/", "-"))
        common = ("train.budget=12000", "train.evaluations=1", f"student.device={device}")
        command = (python, "-m", "smallsteps", "run", recipe, *common, *changes, "--out", out)
        return (*command, *at[2:])

    rows = 4 if tiny else 256
    store = f"store={work / 'replies.sqlite'}"
    tests = ("generation", "students", "training")
    parallel = ("-n", "8") if not tiny and has_xdist() else ()
    only = ("-k", "greedy or loss_is_that or adapters") if tiny else ()
    return [
        Part("same text", (gpu("same_text.py", "--n", 8 if tiny else 32),), 60),
        Part(
            "scores",
            (
                bench(
                    "bench_scores.py",
                    chains,
                    "--n",
                    rows,
                    "--theirs",
                    1 if tiny else 4,
                    "--rounds",
                    1 if tiny else 2,
                    "--skip-memory",
                ),
            ),
            50,
        ),
        *(
            Part(
                f"training {dtype}",
                (
                    bench(
                        "bench_training.py",
                        chains,
                        "--pool",
                        40 if tiny else 300,
                        "--dtype",
                        dtype,
                        "--updates",
                        1 if tiny else 6,
                        "--rounds",
                        1 if tiny else 3,
                        "--micro-batch-tokens",
                        4096 if tiny else 32768,
                    ),
                ),
                60,
            )
            for dtype in ("float32", "bfloat16")
        ),
        Part("out of memory", (gpu("out_of_memory.py", chains, "--n", 12 if tiny else 64),), 40),
        Part(
            "exam",
            (bench("bench_exam.py", "--n", rows, "--batch", rows, "--rounds", 1 if tiny else 2),),
            40,
        ),
        *(
            Part(
                f"contrast {dtype}",
                (
                    bench(
                        "bench_contrast.py",
                        chains,
                        "--items",
                        8 if tiny else 64,
                        "--rounds",
                        1,
                        "--dtype",
                        dtype,
                        "--micro-batch-tokens",
                        4096 if tiny else 32768,
                        "--students",
                        "causal" if tiny else "encoder-decoder,causal",
                    ),
                ),
                40,
            )
            for dtype in ("float32", "bfloat16")
        ),
        Part(
            "rollouts",
            (
                bench(
                    "bench_rollouts.py", "--prompts", 2 if tiny else 64, "--steps", 2 if tiny else 4
                ),
            ),
            40,
        ),
        Part(
            "tests",
            (
                (
                    python,
                    "-m",
                    "pytest",
                    "-p",
                    "no:cacheprovider",
                    *parallel,
                    *at[:2],
                    *only,
                    *(str(ROOT / "tests" / name) for name in tests),
                ),
            ),
            90,
        ),
        Part(
            "demos",
            (
                demo("demo", "data.count=48", "data.validation_count=8", "data.test_count=12"),
                demo(
                    "tailored/demo",
                    "data.count=16",
                    "data.validation_count=4",
                    "data.test_count=8",
                    "arms=[tailored-full]",
                    "tailored.rounds=2",
                    "tailored.samples=2",
                    f"tailored.teacher.{store}",
                ),
                demo(
                    "guided/demo",
                    "data.count=60",
                    "data.validation_count=8",
                    "data.test_count=12",
                    "guided.reader.count=400",
                    "guided.reader.budget=250000",
                    f"guided.reader.{store}",
                    "guided.reinforce.steps=2",
                    "guided.reinforce.prompts=2",
                    "guided.reinforce.samples=2",
                    "guided.reinforce.evaluations=1",
                    "arms=[guided-standard,guided-distilled,guided-both]",
                    "train.learning_rate=2e-3",
                    "train.update_examples=16",
                ),
            ),
            150,
        ),
        Part(
            "generation",
            (
                bench(
                    "bench_generation.py",
                    chains,
                    "--n",
                    rows,
                    "--batch",
                    rows,
                    "--alone",
                    1 if tiny else 3,
                ),
            ),
            160,
        ),
    ]


def has_xdist() -> bool:
    """Whether pytest can run tests in parallel here."""
    command = [sys.executable, "-c", "import xdist"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def chains_file(work: Path) -> Path:
    """The chains that prepare.sh carried; without them bundled stories, which are shorter than
    GSM8K's."""
    carried = GPU / "carried" / "chains.jsonl"
    if carried.is_file():
        return carried
    made = work / "chains.jsonl"
    if not made.is_file():
        from smallsteps.tasks.stories import make_chains

        with made.open("w", encoding="utf-8") as file:
            for chain in make_chains(600, 902, "hard"):
                problem = chain.problem
                row = {"id": problem.id, "question": problem.question, "answer": problem.answer}
                file.write(json.dumps({**row, "rationale": chain.rationale.text}) + "\n")
    return made


def run_part(part: Part, limit: float, environment: dict[str, str]) -> Outcome:
    """Runs a part's commands side by side for at most `limit` seconds."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        environment = environment | {"SMALLSTEPS_FIGURES": str(figures)}
        logs = [Path(folder) / f"{number}.log" for number in range(len(part.commands))]
        processes = []
        for command, log in zip(part.commands, logs, strict=True):
            with log.open("w", encoding="utf-8") as file:
                process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
                )
            processes.append(process)
        state = "passed"
        for process in processes:
            try:
                if process.wait(max(0.1, limit - (time.monotonic() - began))):
                    state = "failed"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                state = "out of time"
        output = "".join(
            f"$ {shlex.join(command)}\n{log.read_text(encoding='utf-8', errors='replace')}"
            for command, log in zip(part.commands, logs, strict=True)
        )
        lines = figures.read_text(encoding="utf-8").splitlines() if figures.is_file() else []
    seconds = time.monotonic() - began
    return Outcome(part, state, seconds, output, [json.loads(line) for line in lines])


def machine(device: str) -> str:
    """Hardware and versions in one line."""
    import torch
    import transformers

    name = torch.cuda.get_device_name(0) if device.startswith("cuda") else platform.machine()
    cores = os.cpu_count()
    return (
        f"{name}, {cores} CPU cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )


def report(outcomes: list[Outcome], about: str, seconds: float) -> str:
    """The report in Markdown: state of each part, figures, and the last lines of what failed."""
    lines = ["# GPU report", "", f"{about}. {seconds:.0f} s in all.", ""]
    lines += ["| part | state | seconds |", "| --- | --- | --- |"]
    lines += [f"| {o.part.name} | {o.state} | {o.seconds:.0f} |" for o in outcomes]
    lines += ["", "| figure | value | rounds | unit | wanted |", "| --- | --- | --- | --- | --- |"]
    for row in latest(outcomes):
        rounds = row["rounds"]
        assert isinstance(rounds, list)
        spread = f"{min(rounds):.4g} to {max(rounds):.4g}" if len(rounds) > 1 else ""
        value = f"{row['value']:.4g}"
        lines.append(f"| {row['name']} | {value} | {spread} | {row['unit']} | {row['wanted']} |")
    for outcome in outcomes:
        if outcome.state in ("failed", "out of time"):
            tail = outcome.output.strip().splitlines()[-25:]
            lines += ["", f"## {outcome.part.name}: {outcome.state}", "", "```text", *tail, "```"]
    return "\n".join(lines) + "\n"


def latest(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Every figure once: of peaks that a part measured in several rounds, the highest."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for outcome in outcomes:
        for row in outcome.figures:
            key = (outcome.part.name, str(row["name"]))
            if key not in rows or float(str(row["value"])) > float(str(rows[key]["value"])):
                rows[key] = row
    return list(rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself")
    parser.add_argument("--only", default="", help="parts to run, separated by commas")
    parser.add_argument("--seconds", type=float, default=480, help="of the whole")
    options = parser.parse_args()
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ) | {"OMP_WAIT_POLICY": "PASSIVE"}
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, (options.out / "log.txt").open("w") as log:
        chosen = parts(options.device, options.tiny, Path(folder))
        if options.only:
            names = options.only.split(",")
            unknown = sorted(set(names) - {part.name for part in chosen})
            if unknown:
                known = ", ".join(part.name for part in chosen)
                raise SystemExit(f"--only: no part {', '.join(unknown)}. Parts: {known}")
            chosen = [part for part in chosen if part.name in names]
        about = machine(options.device)
        for part in chosen:
            left = options.seconds - (time.monotonic() - began)
            limit = part.limit if options.device != "cpu" else 6 * part.limit
            outcome = Outcome(part, "not started")
            if left > 10:
                outcome = run_part(part, min(limit, left), environment)
            outcomes.append(outcome)
            print(f"{part.name}: {outcome.state}, {outcome.seconds:.0f} s", flush=True)
            log.write(f"== {part.name}: {outcome.state}\n{outcome.output}\n")
            # written after every part, so that a killed run leaves what it has
            text = report(outcomes, about, time.monotonic() - began)
            (options.out / "report.md").write_text(text, encoding="utf-8")
            with (options.out / "figures.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(
                    json.dumps({"part": o.part.name, **row}) + "\n"
                    for o in outcomes
                    for row in o.figures
                )
    if any(outcome.state != "passed" for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
