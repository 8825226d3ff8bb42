"""Shared by the benchmarks: device and threads, a clock that waits for the device, peak memory, and
figures as rows.

`record` prints a figure for people. If the environment variable SMALLSTEPS_FIGURES names a file, it
also appends the figure there as a JSON line, which `gpu/report.py` reads.
"""

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
    """Adds --device, --threads and --rounds."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=rounds)


def prepare(options: argparse.Namespace) -> None:
    """Sets the number of threads, and full float32 products on a GPU, as on a CPU."""
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = False


def now(device: str) -> float:
    """The clock in seconds, after the device has finished its work."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def record(
    name: str, values: float | Sequence[float], unit: str = "times", wanted: str = ""
) -> None:
    """Prints the median of `values`, with the lowest and the highest if there are several."""
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
    """Records the peak GPU memory since the last call; does nothing on a CPU."""
    if torch.device(device).type == "cuda":
        record(f"{what}: peak memory", torch.cuda.max_memory_allocated() / 2**20, "MiB")
        torch.cuda.reset_peak_memory_stats()
