"""Provokes one out-of-memory error on the GPU: training must halve its micro-batches and finish.

    python benchmarks/gpu/out_of_memory.py CHAINS.jsonl [--device cuda] [--memory 1.5]

On a CPU, where no memory limit can be set, the first large micro-batch is made to fail.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from unittest import mock

import torch
from bench_training import TASK, flan_t5_small
from measure import add_options, prepare, record, record_peak

from smallsteps.segments.examples import build_examples
from smallsteps.tasks.files import read_chains
from smallsteps.training import updates
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--memory", type=float, default=1.5, help="GiB this process may use")
    add_options(parser, rounds=1)
    options = parser.parse_args()
    prepare(options)
    chains = read_chains(options.chains, TASK).chains
    student = flan_t5_small([f"{c.problem.question} {c.rationale.text}" for c in chains[:500]])
    student.model.to(options.device)
    examples = build_examples(chains[: options.n], [], TASK, "direct")
    # all examples of an update at once: more than the memory holds
    tokens = 1_000_000
    settings = TrainSettings(
        passes=1,
        learning_rate=1e-4,
        update_examples=options.n,
        evaluations=1,
        micro_batch_tokens=tokens,
        overlong="drop",
        early_stop="drop",
        source_limit=None,
        target_limit=None,
    )
    collate = updates.collate

    def limited(rows, *further):
        if options.device == "cpu" and len(rows) > options.n // 3:
            raise torch.OutOfMemoryError("out of memory, provoked")
        return collate(rows, *further)

    if options.device != "cpu":
        total = torch.cuda.get_device_properties(options.device).total_memory
        torch.cuda.set_per_process_memory_fraction(options.memory * 2**30 / total)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(updates, "collate", limited),
    ):
        result = fit(student, examples, [], settings, Path(folder) / "run", task=TASK)
    halvings = (tokens // result.micro_batch_tokens).bit_length() - 1
    record("halvings after running out of memory", halvings, "halvings", "at least 1")
    record_peak(options.device, "training under a memory limit")
    if not halvings:
        raise SystemExit("memory never ran out: lower --memory")


if __name__ == "__main__":
    main()
