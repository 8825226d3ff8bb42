"""Micro-batches that shrink where memory runs out."""

import pytest
import torch

from smallsteps.errors import TrainingError
from smallsteps.training.memory import MicroBatchSize, out_of_memory

CPU = torch.device("cpu")


def test_micro_batches_are_halved_until_one_sequence_does_not_fit():
    size = MicroBatchSize(400)
    size.halve(150, CPU)
    size.halve(150, CPU)
    assert size.tokens == 100
    with pytest.raises(
        TrainingError, match=r"out of memory with a single sequence of 150 tokens\. Set gradient_ch"
    ):
        size.halve(150, CPU)
    assert size.tokens == 100


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_only_missing_memory_is_taken_for_it(error, missing):
    assert out_of_memory(error) is missing
