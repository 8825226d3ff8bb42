"""Where the time of updates and of decoding goes: profiling.py CHAINS.jsonl [--device cuda].

A student of SmolLM2-135M's shape with random weights. First single operations, to know the
machine; then the busiest operations of `fit` and `solve`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from random_student import random_student
from torch.profiler import ProfilerActivity, profile

from smallsteps.devices import resolve_device
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.segments.examples import build_examples
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings

TASK = get_task("gsm8k")


def clock(what: str, work: Callable[[], object], times: int, device: str) -> None:
    """Prints milliseconds of one call, after one call more."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    work()
    wait()
    began = time.perf_counter()
    for _ in range(times):
        work()
    wait()
    print(f"{what}: {1000 * (time.perf_counter() - began) / times:.3f} ms", flush=True)


def busiest(what: str, work: Callable[[], object], device: str) -> None:
    """Prints the operations that take most time on the device and on the CPU."""
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=kinds) as seen:
        began = time.perf_counter()
        work()
        print(f"== {what}: {time.perf_counter() - began:.2f} s", flush=True)
    averages = seen.key_averages()
    for key in (["self_device_time_total"] if device == "cuda" else []) + ["self_cpu_time_total"]:
        print(f"-- {key}")
        for row in sorted(averages, key=lambda row: -getattr(row, key))[:14]:
            print(f"{getattr(row, key) / 1000:9.1f} ms {row.count:7} {row.key[:90]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chains", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--rows", type=int, default=32)
    options = parser.parse_args()
    device, rows = options.device, options.rows
    chains = read_chains(options.chains, TASK).chains[:600]
    student = random_student(chains, options.layers)
    student.model.to(device)
    student = prepare(student, TASK, path="direct")
    model = student.model
    resolve_device(device)

    tiny = torch.zeros(4, device=device)
    square = torch.randn(2048, 2048, device=device, dtype=torch.bfloat16)
    clock("1000 launches", lambda: [tiny.add_(1) for _ in range(1000)], 3, device)
    clock("product of 2048 x 2048 in bfloat16", lambda: square @ square, 20, device)
    host = torch.zeros(400, 49152)
    clock("78 MB to the device", lambda: host.to(device), 3, device)
    there = host.to(device)
    clock("78 MB from the device", lambda: there.cpu(), 3, device)
    ids = torch.randint(5, 8000, (rows, 220), device=device)
    mask = torch.ones_like(ids)
    mask[:, 150:] = 0

    def forward(**inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return model(input_ids=ids, use_cache=False, logits_to_keep=1, **inputs).logits.sum()

    with torch.no_grad():
        clock("forward, no mask", forward, 2, device)
        clock("forward, mask", lambda: forward(attention_mask=mask), 2, device)
    clock("forward and backward, no mask", lambda: forward().backward(), 2, device)
    clock("forward and backward, mask", lambda: forward(attention_mask=mask).backward(), 2, device)

    examples = [e for chain in chains for e in build_examples([chain], [], TASK, "direct")]

    def train(updates: int) -> None:
        settings = TrainSettings(
            passes=updates * rows / len(examples),
            learning_rate=1e-5,
            evaluations=1,
            update_examples=rows,
            micro_batch_tokens=8192,
            overlong="drop",
            early_stop="drop",
            dtype="bfloat16",
        )
        with tempfile.TemporaryDirectory() as folder:
            result = fit(student, examples, [], settings, Path(folder) / "run", task=TASK)
            print(f"{result.seconds / updates:.3f} s an update")

    train(3)
    busiest("5 updates", lambda: train(5), device)
    model.to(torch.bfloat16)

    def answer(tokens: int) -> None:
        problems = [chain.problem for chain in chains[: 12 * rows]]
        settings = SolveSettings(batch_size=len(problems))
        list(solve(student, problems, TASK, settings, Decoding(max_new_tokens=tokens)))

    answer(3)
    clock("23 tokens each", lambda: answer(23), 1, device)
    clock("3 tokens each", lambda: answer(3), 1, device)
    busiest("13 tokens each", lambda: answer(13), device)


if __name__ == "__main__":
    main()
