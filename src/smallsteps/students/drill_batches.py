"""What one update of the pre-training reads: drills as tensors.

A student reads them as it reads questions later, and writes them as it writes answers
(`Student.source_ids`, `target_ids`); only targets are learnt. Tensors have few shapes, for which
the model is compiled: an encoder-decoder gets one batch a shape of `drills.GROUPS`, filled with
pairs that fit no narrower shape; a causal student gets rows of several drills that do not see each
other, because most of a padded row would be padding."""

from __future__ import annotations

import random
from itertools import chain

import torch
from torch import Tensor

from smallsteps.students.drills import GROUPS, Group, Pair, drills
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.tasks import get_task

Batch = dict[str, Tensor]
"""Arguments of the model's forward pass, `labels` among them."""

IGNORED = -100
"""Label of a place that is not learnt."""
ROW = 128
"""Tokens of a causal row. Hardly a drill is longer; such a drill is left out."""
ROWS = 128
"""Causal rows of an update at scale 1: about as many drills as the groups hold."""
PATIENCE = 20
"""Drills in a row that fit nowhere, after which causal rows are full."""


def update_batches(
    student: Student,
    seed: int,
    step: int,
    scale: float,
    gap: int = 0,
    share_unprompted: float = 0.0,
) -> list[Batch]:
    """The batches of update `step`: a pure function of the arguments and the student's tokenizer.

    scale: multiplies the rows. gap, share_unprompted: causal students only; see `packed_rows` and
    `drills.unprompted`."""
    rng = random.Random(f"drills/{seed}/{step}")
    if student.architecture == "causal":
        rows = max(1, round(ROWS * scale))
        return [packed_rows(student, rng, rows, gap, share_unprompted)]
    return [
        batch for group in GROUPS.values() for batch in _group_batches(student, group, rng, scale)
    ]


def targets(batch: Batch) -> int:
    """The number of tokens that are learnt."""
    return int((batch["labels"] != IGNORED).sum())


def _ids(student: Student, pair: Pair) -> tuple[list[int], list[int]]:
    """(source ids, target ids) of a drill. Drills belong to no task; any task reads a plain
    question alike."""
    source, target = pair
    task = get_task("stories")
    return student.source_ids(task, source), student.target_ids(task, target)


def _group_batches(student: Student, group: Group, rng: random.Random, scale: float) -> list[Batch]:
    """An encoder-decoder's batch of each shape of the group."""
    wanted = [max(1, round(rows * scale)) for rows, _, _ in group.shapes]
    rows_by_shape: list[list[tuple[list[int], list[int]]]] = [[] for _ in group.shapes]
    while any(len(rows) < n for rows, n in zip(rows_by_shape, wanted, strict=True)):
        pairs = [group.draw(rng) for _ in range(sum(wanted))]
        for source, target in (_ids(student, pair) for pair in pairs):
            for rows, (_, longest_source, longest_target) in zip(
                rows_by_shape, group.shapes, strict=True
            ):
                if len(source) <= longest_source and len(target) <= longest_target:
                    rows.append((source, target))
                    break
    batches = []
    for rows, n, (_, longest_source, longest_target) in zip(
        rows_by_shape, wanted, group.shapes, strict=True
    ):
        ids, mask = pad([source for source, _ in rows[:n]], student.pad_id, longest_source)
        labels, _ = pad([target for _, target in rows[:n]], IGNORED, longest_target)
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return batches


def packed_rows(
    student: Student,
    rng: random.Random,
    rows: int,
    gap: int = 0,
    share_unprompted: float = 0.0,
) -> Batch:
    """A causal student's batch: `rows` rows of `ROW` places, each full of drills.

    Each drill counts its positions from 0 and sees itself alone. gap: half of the drills leave out
    up to so many positions between source and target, so that the student learns to look back
    further than a drill is long."""
    drawn = drills(rng, share_unprompted)
    packed: list[list[tuple[list[int], list[int]]]] = [[] for _ in range(rows)]
    room = [ROW] * rows
    refused = 0
    while refused < PATIENCE:
        source, target = _ids(student, next(drawn))
        size = len(source) + len(target)
        row = next((row for row in range(rows) if room[row] >= size), None)
        if row is None:
            refused += 1
            continue
        refused = 0
        room[row] -= size
        packed[row].append((source, target))
    ids, _ = pad([list(chain(*chain(*row))) for row in packed], student.pad_id, ROW)
    labels = torch.full((rows, ROW), IGNORED)
    positions = torch.zeros((rows, ROW), dtype=torch.int64)
    drill = torch.zeros((rows, ROW), dtype=torch.int64)  # which of its row a place belongs to
    for row, pairs in enumerate(packed):
        start = 0
        for number, (source, target) in enumerate(pairs, start=1):
            middle, end = start + len(source), start + len(source) + len(target)
            labels[row, middle:end] = ids[row, middle:end]
            positions[row, start:end] = torch.arange(end - start)
            if gap and rng.random() < 0.5:
                positions[row, middle:end] += rng.randint(0, gap)
            drill[row, start:end] = number
            start = end
    seen = (drill[:, :, None] == drill[:, None, :]) & torch.ones(ROW, ROW, dtype=torch.bool).tril()
    return {
        "input_ids": ids,
        "position_ids": positions,
        # added to the scores: [rows, 1, place, place that it sees]
        "attention_mask": torch.where(seen, 0.0, torch.finfo(torch.bfloat16).min)[:, None],
        "labels": labels,
    }
