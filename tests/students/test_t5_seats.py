"""A step over seats gives the logits of the whole pass, and writes one column of each row."""

from __future__ import annotations

import pytest
import torch

from smallsteps.students.t5 import T5Runner
from smallsteps.students.t5_seats import bias_by_distance, step_seats
from tiny_solving import Tiny

SOURCES = [(5, 9, 30, 31, 1), (7, 8, 1)]
TARGETS = [(0, 9, 10, 11, 12), (0, 40, 41, 42, 5)]


@pytest.mark.parametrize("style", ["t5", "t5-scaled"])
@torch.inference_mode()
def test_logits_are_those_of_whole_rows(tiny: Tiny, style: str) -> None:
    runner = T5Runner(tiny(style).model, torch.float32)
    encoded = runner.encode(SOURCES)
    wanted = runner.head(runner.decode(TARGETS, encoded)).unflatten(0, (2, 5))
    layers = len(runner.decoder)
    cross = torch.full((layers, 2, 2, runner.heads, 8, runner.d_kv), 9.0)  # beyond a source: masked
    for row, states in enumerate(encoded):
        split = states.view(-1, layers, 2, runner.heads, runner.d_kv).permute(1, 2, 3, 0, 4)
        cross[:, :, row, :, : len(states)] = split
    past = torch.full((layers, 2, 2, runner.heads, 7, runner.d_kv), 9.0)  # not written yet: masked
    bias, read = bias_by_distance(runner, 7), torch.tensor([5, 3])
    # the second row begins two steps later
    for now in range(5):
        tokens = torch.tensor([TARGETS[0][now], TARGETS[1][max(0, now - 2)]])
        written = torch.tensor([now, max(0, now - 2)])
        before = past.clone()
        logits = step_seats(runner, tokens, written, read, past, cross, bias)
        expected = torch.stack([wanted[0, now], wanted[1, max(0, now - 2)]])
        assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()
        changed = (past != before).any(0).any(0).any(1).any(-1).nonzero().tolist()
        assert [0, now] in changed and len(changed) <= 2
