"""The numbers of CPU threads that train and decode a student fastest, by a short measurement before
a run.

A resumed run takes the numbers that its folder names, so that it ends with the same weights.
`--threads` fixes both without a measurement."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.students.student import Student
from smallsteps.threads import Threads, use
from smallsteps.training.batches import Encoded, collate
from smallsteps.training.losses import SummedLoss

MAX_WEIGHTS = 100_000_000
"""Weights of the largest student that is measured: larger products gain from every core."""

GAIN = 1.15
"""More threads must be faster by this factor, otherwise fewer are used."""

TOO_SLOW = 3.0
"""A number of threads whose first try takes longer by this factor is not tried again."""

ROWS, READ, WRITTEN = 16, 64, 24
"""What is measured: rows in a batch, tokens that each row reads, tokens that each row writes."""

ROUNDS = 2
"""Rounds of a measurement. The fastest counts: other work of the machine only slows one down."""


def recorded(out: Path) -> Threads | None:
    """The numbers that the run folder `out` names; None where it names none."""
    try:
        row = json.loads((out / "run.json").read_text(encoding="utf-8"))["provenance"]["threads"]
        return Threads(int(row["training"]), int(row["decoding"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no run yet, or one that the run folder itself complains about


def fastest(student: Student) -> Threads:
    """What trains and what decodes `student` fastest here. Leaves the student as it was.

    Takes about a second for a student of a few million weights. One of more than MAX_WEIGHTS
    weights, or on another device, gets all cores."""
    cores = _cores()
    small = sum(parameter.numel() for parameter in student.model.parameters()) <= MAX_WEIGHTS
    if cores == 1 or not small or student.device.type != "cpu":
        return Threads(cores, cores)
    before = torch.get_num_threads()
    try:
        counts = sorted({1, 2, cores // 2, cores} - {0})
        return Threads(
            _fastest_count(counts, lambda: _train(student)),
            _fastest_count(counts, lambda: _decode(student)),
        )
    finally:
        torch.set_num_threads(before)
        student.model.zero_grad()
        student.model.eval()


def choose_threads(out: Path | None, load: Callable[[], Student | None]) -> Threads:
    """Sets this process's threads: what the run folder names, else the fastest for the student that
    `load` opens (None: all cores)."""
    threads = recorded(out) if out else None
    if threads is None:
        student = load()
        threads = Threads(_cores(), _cores()) if student is None else fastest(student)
    use(threads)
    return threads


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fastest_count(counts: list[int], work: Callable[[], None]) -> int:
    """The smallest of `counts` that no larger one beats by `GAIN`."""
    torch.set_num_threads(counts[0])
    work()  # the first call loads kernels
    chosen, least = counts[0], min(_timed(work) for _ in range(ROUNDS))
    for count in counts[1:]:
        torch.set_num_threads(count)
        if _timed(work) > TOO_SLOW * least:
            continue
        seconds = min(_timed(work) for _ in range(ROUNDS))
        if seconds * GAIN < least:
            chosen, least = count, seconds
    return chosen


def _timed(work: Callable[[], None]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _source(student: Student, row: int) -> tuple[int, ...]:
    """Ids from the middle of the vocabulary: what they say does not matter here."""
    vocabulary = student.model.get_input_embeddings().weight.shape[0]
    return tuple(vocabulary // 2 + (row + place) % (vocabulary // 4) for place in range(READ))


def _decode(student: Student) -> None:
    """Decodes one batch."""
    requests = [Request(str(row), _source(student, row)) for row in range(ROWS)]
    engine = open_engine(student, EngineSettings(batch_size=ROWS))
    list(engine.generate(requests, Decoding(max_new_tokens=WRITTEN)))


def _train(student: Student) -> None:
    """Computes the gradients of one batch."""
    rows = []
    for row in range(ROWS):
        ids = _source(student, row)
        source, target = (ids, ids[:WRITTEN]) if student.start_id is not None else ((), ids)
        rows.append(Encoded(source, target, (True,) * len(target), (str(row),)))
    loss = SummedLoss(student.model.train())
    student.model.zero_grad()
    loss(collate(rows, student.start_id)).backward()
