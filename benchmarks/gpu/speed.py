"""How fast a student trains and answers where several processes share a GPU.

    python benchmarks/gpu/speed.py STUDENT CHAINS.jsonl OUT [--jobs 1,8] [--device cuda]

Every process trains on whole chains for some updates and then answers questions with at most 100
tokens each. Prints real training tokens and written tokens a second, each process and all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(options: argparse.Namespace) -> dict[str, float]:
    import torch

    from smallsteps import load_student
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.paths import SolveSettings
    from smallsteps.generation.solve import solve
    from smallsteps.segments.examples import build_examples
    from smallsteps.students.tokens import prepare
    from smallsteps.tasks import get_task
    from smallsteps.tasks.files import read_chains
    from smallsteps.training.fit import fit
    from smallsteps.training.settings import TrainSettings

    task = get_task("gsm8k")
    chains = read_chains(options.chains, task).chains[:3000]
    began = time.monotonic()
    student = prepare(load_student(options.student, device=options.device), task, path="direct")
    loaded = time.monotonic() - began
    examples = [e for chain in chains for e in build_examples([chain], [], task, "direct")]
    settings = TrainSettings(
        passes=options.updates * 32 / len(examples),
        learning_rate=1e-5,
        evaluations=1,
        update_examples=32,
        micro_batch_tokens=8192,
        overlong="drop",
        early_stop="drop",
        dtype="float32" if options.device == "cpu" else "bfloat16",
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit(student, examples, [], settings, Path(folder) / "run", task=task)
        rows = [json.loads(line) for line in (Path(folder) / "run/curves.jsonl").open()]
    first, last = rows[min(2, len(rows) - 2)], rows[-1]
    training = (last["tokens"] - first["tokens"]) / max(1e-6, last["seconds"] - first["seconds"])
    if options.device != "cpu":
        student.model.to(torch.bfloat16)
    began = time.monotonic()
    written = list(
        solve(
            student,
            [chain.problem for chain in chains[: options.questions]],
            task,
            SolveSettings(batch_size=options.questions),
            Decoding(max_new_tokens=100),
        )
    )
    seconds = time.monotonic() - began
    peak = 0.0 if options.device == "cpu" else torch.cuda.max_memory_allocated() / 2**30
    return {
        "load_s": round(loaded, 1),
        "train_s": round(result.seconds, 1),
        "train_tokens_a_second": round(training),
        "answer_s": round(seconds, 1),
        "written_tokens_a_second": round(sum(p.tokens for p in written) / seconds),
        "peak_gib": round(peak, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student")
    parser.add_argument("chains")
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", default="1,8")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--one", action="store_true")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)), flush=True)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for count in map(int, options.jobs.split(",")):
        command = [sys.executable, *sys.argv, "--one"]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
        outputs = [process.communicate()[0].decode() for process in running]
        rows = [json.loads(output.splitlines()[-1]) for output in outputs if output.strip()]
        with (options.out / "speed.jsonl").open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps({"jobs": count, **row}) + "\n")
        for what in ("train_tokens_a_second", "written_tokens_a_second"):
            rates = [row[what] for row in rows]
            print(f"{count} jobs, {what}: {rates}, all {sum(rates):,}", flush=True)
        print(rows[:1], flush=True)


if __name__ == "__main__":
    main()
