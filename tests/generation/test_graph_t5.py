"""T5 rows in fixed seats: they enter, leave, move and outgrow their seats, and few steps are
recorded."""

from __future__ import annotations

import pytest
import torch

from smallsteps.generation import graph_t5
from smallsteps.generation.graph_t5 import GraphT5
from smallsteps.students.t5 import T5Runner
from tiny_solving import Tiny

SOURCES = [(5, 9, 30, 31, 1), (7, 8, 1), (40, 41, 42, 5, 6, 7, 1)]
TARGETS = [(0, 9, 10, 11, 12, 13), (0, 40, 41), (0, 5, 6, 7, 30, 31)]


@pytest.mark.parametrize("step", [1, 3, 128])
@torch.inference_mode()
def test_rows_enter_seats_that_others_have_left(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(graph_t5, "COLUMN_STEP", step)
    monkeypatch.setattr(graph_t5, "SOURCE_STEP", step)
    runner = T5Runner(tiny("t5").model, torch.float32)
    encoded = runner.encode(SOURCES)
    wanted = [
        runner.head(runner.decode([target], [source]))
        for target, source in zip(TARGETS, encoded, strict=True)
    ]
    seats = GraphT5(runner, 2)
    seats.open(1)
    seats.enter([0], encoded[:1])
    found: list[list[torch.Tensor]] = [[], [], []]
    rows = {0: 0}  # slot -> row
    for now in range(8):
        if now == 1:
            seats.grow(2)
            seats.enter([1], encoded[1:2])
            rows[1] = 1
        if now == 4:
            seats.leave([1])
            seats.enter([1], encoded[2:])
            rows[1] = 2
        if now == 6:
            seats.keep([1])
            rows = {0: 2}
        inputs = [TARGETS[row][len(found[row])] for _, row in sorted(rows.items())]
        logits = seats.step(inputs, sorted(rows))
        for slot, row in rows.items():
            found[row].append(logits[slot].clone())
    for states, whole in zip(found, wanted, strict=True):
        whole = whole[: len(states)]
        assert (torch.stack(states) - whole).abs().max() < 1e-4 * whole.abs().max()
    assert [len(states) for states in found] == [6, 3, 4]


@torch.inference_mode()
def test_few_steps_are_recorded_and_all_anew_in_other_tensors(tiny: Tiny) -> None:
    runner = T5Runner(tiny("t5").model, torch.float32)
    encoded = runner.encode([(5, 1)])
    seats = GraphT5(runner, 40)
    seats.open(40)
    seats.enter(range(40), encoded * 40)
    for rows in (40, 33, 32, 20, 9, 8, 1):
        seats.keep(range(rows))
        seats.step([0] * rows, range(rows))
    assert list(seats.recordings) == [40, 32, 8]
    seats.enter([0], runner.encode([(*range(5, 60), *range(5, 90), 1)]))
    assert not seats.recordings


@torch.inference_mode()
def test_a_batch_that_was_given_up_leaves_empty_seats(tiny: Tiny) -> None:
    runner = T5Runner(tiny("t5").model, torch.float32)
    seats = GraphT5(runner, 2)
    seats.open(2)
    seats.enter([0, 1], runner.encode(SOURCES[:2]))
    seats.step([0, 0], [0, 1])
    seats.open(1)
    assert seats.written == [0] * 8 and seats.read == [1] * 8
