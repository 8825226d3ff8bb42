"""Passes over seats: padding changes nothing, and a step leaves other rows as they are."""

from __future__ import annotations

import torch

from smallsteps.students.llama import LlamaRunner
from smallsteps.students.llama_seats import read_seats, step_seats, table
from tiny_solving import Tiny


@torch.inference_mode()
def test_a_prompt_gives_the_same_beside_longer_ones(tiny: Tiny) -> None:
    runner = LlamaRunner(tiny("llama").model, torch.float32)
    start = torch.tensor([0])
    alone, states = read_seats(runner, torch.tensor([[5, 6]]), torch.tensor([2]), start, None)
    ids = torch.tensor([[5, 6, 0, 0], [7, 8, 9, 10]])
    both, together = read_seats(runner, ids, torch.tensor([2, 4]), torch.tensor([0, 0]), None)
    torch.testing.assert_close(both[:1], alone)
    torch.testing.assert_close(together[:, :, :1, :, :2], states)


@torch.inference_mode()
def test_a_step_writes_one_column_of_each_row(tiny: Tiny) -> None:
    runner = LlamaRunner(tiny("llama").model, torch.float32)
    ids, lengths = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([3, 2])
    _, whole = read_seats(runner, ids, lengths, torch.tensor([0, 0]), None)
    before = torch.nn.functional.pad(whole, (0, 0, 0, 2))
    before[:, :, 1, :, 2:] = 0.0
    states = before.clone()
    logits = step_seats(
        runner, torch.tensor([11, 12]), lengths, states, table(runner, states.shape[4])
    )
    longer = torch.tensor([[5, 6, 7, 11], [8, 9, 12, 0]])
    again, _ = read_seats(runner, longer, lengths + 1, torch.tensor([0, 0]), None)
    torch.testing.assert_close(logits, again, rtol=1e-4, atol=1e-5)
    places = (states != before).any(0).any(0).any(1).any(-1)
    assert places.nonzero().tolist() == [[0, 3], [1, 2]]
