"""What the benchmarks share: device and threads, a clock that waits for the device, peak memory,
figures as rows.

`record` prints a figure for people. Where the environment variable SMALLSTEPS_FIGURES names a file,
it also appends the figure there as a JSON line, which is what `gpu/report.py` reads."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch


def add_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """--device, --threads and --rounds."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=rounds)


def prepare(options: argparse.Namespace) -> None:
    """Sets the number of threads. In float32 on a GPU products stay in full float32, as on a
    CPU."""
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = False


def now(device: str) -> float:
    """Seconds, once the device has done all it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def record(
    name: str, values: float | Sequence[float], unit: str = "times", wanted: str = ""
) -> None:
    """Prints the median of `values`, with the lowest and the highest of several rounds."""
    rounds = [values] if isinstance(values, (int, float)) else list(values)
    value = median(rounds)
    spread = f" ({min(rounds):.3g} to {max(rounds):.3g})" if len(rounds) > 1 else ""
    print(
        f"{name}: {value:.4g}{spread} {unit}{f'   wanted: {wanted}' if wanted else ''}", flush=True
    )
    if path := os.environ.get("SMALLSTEPS_FIGURES"):
        row = {"name": name, "value": value, "rounds": rounds, "unit": unit, "wanted": wanted}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def record_peak(device: str, what: str) -> None:
    """The most GPU memory that was held since the last call; nothing on a CPU."""
    if torch.device(device).type == "cuda":
        record(f"{what}: peak memory", torch.cuda.max_memory_allocated() / 2**20, "MiB")
        torch.cuda.reset_peak_memory_stats()
