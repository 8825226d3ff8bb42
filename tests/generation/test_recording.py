"""A recorded step reads new inputs; on a CPU it is made anew."""

from __future__ import annotations

import torch

from smallsteps.generation.recording import computed_rows, record


def test_a_step_is_repeated_on_other_inputs_into_the_same_tensor():
    seen = torch.zeros(3)

    def run(inputs: torch.Tensor) -> torch.Tensor:
        seen.copy_(inputs[0])
        return inputs[0] * 2.0

    recording = record(torch.tensor([[1, 2, 3]]), run)
    first = recording.logits
    assert first.tolist() == [2, 4, 6] and seen.tolist() == [1, 2, 3]
    second = recording.step(torch.tensor([[4, 5, 6]]))
    assert second is first and second.tolist() == [8, 10, 12] and seen.tolist() == [4, 5, 6]


def test_few_numbers_of_rows_are_computed():
    assert sorted({computed_rows(rows) for rows in range(1, 513)}) == [8, 32, 128, 512]
