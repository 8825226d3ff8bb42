"""Micro-batches that shrink where memory runs out."""

import pytest
import torch

from smallsteps.errors import TrainingError
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import (
    GPU_TOKENS,
    MicroBatchSize,
    bytes_a_token,
    fitting_tokens,
    most_tokens,
    out_of_memory,
    tokens_within,
)

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


def attempts_that_fit(size, tokens):
    """An attempt that needs `tokens`, and the sizes at which it was made."""
    made = []

    def attempt():
        made.append(size.tokens)
        if size.tokens > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    return attempt, made


def test_an_attempt_is_made_again_with_half_the_tokens_until_it_fits():
    size = MicroBatchSize(400)
    attempt, made = attempts_that_fit(size, 120)
    assert size.fitting(attempt, 90, CPU) == "done" and made == [400, 200, 100]
    assert size.fitting(attempt, 90, CPU) == "done" and made[3:] == [100], "it stays small"
    attempt, made = attempts_that_fit(size, 10)
    with pytest.raises(TrainingError, match="with a single sequence of 90 tokens"):
        size.fitting(attempt, 90, CPU)
    assert made == [100, 50]


def test_all_try_again_where_memory_runs_out_in_another_process(monkeypatch):
    size, answers = MicroBatchSize(400), iter([False, True])
    attempt, made = attempts_that_fit(size, 400)
    monkeypatch.setattr("smallsteps.training.memory.all_agree", lambda *_: next(answers))
    assert size.fitting(attempt, 90, CPU) == "done" and made == [400, 200]


def test_other_errors_end_the_attempts():
    def broken():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        MicroBatchSize(400).fitting(broken, 90, CPU)


def test_weights_in_shards_end_the_attempts_by_what_to_lower():
    size = MicroBatchSize(400, "take a smaller student")
    attempt, made = attempts_that_fit(size, 10)
    line = (
        r"^out of memory in step 3\. With FSDP .* lower micro_batch_tokens \(400\), take a smaller "
        r"student\.$"
    )
    with pytest.raises(TrainingError, match=line):
        size.fitting(attempt, 90, CPU, "step 3")
    assert made == [400]


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


def test_a_cpu_gets_its_own_number_and_nothing_is_measured(tiny):
    student = tiny("t5")
    assert fitting_tokens(student, SummedLoss(student.model), CPU) == 4096
    assert (most_tokens("cpu"), most_tokens("cuda")) == (4096, GPU_TOKENS)


@pytest.mark.parametrize(
    ("free", "token_bytes", "tokens"),
    [
        (80e9, 1e6, GPU_TOKENS),
        (16e9, 1e6, 9472),  # 9,600, a multiple of 256
        (1e6, 1e6, 256),
        (-1e9, 1e6, 256),
    ],
)
def test_a_gpu_gets_what_fits_at_most_what_pays(free, token_bytes, tokens):
    assert tokens_within(int(free), token_bytes) == tokens


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_what_a_token_takes_is_measured(tiny, style):
    """It grows with what is kept: more with dropout or adapters, less where activations are
    computed again."""
    student = tiny(style)
    student.model.train()
    plain = bytes_a_token(student, SummedLoss(student.model), CPU)
    width = student.model.config.hidden_size
    # two blocks keep more than the inputs of their seven products in float32, and not a hundredfold
    assert 2 * 7 * 4 * width < plain < 100 * 2 * 7 * 4 * width
    student.model.activation_checkpointing_enable({"use_reentrant": False})
    inputs_of_blocks = 2 * 4 * width
    checkpointed = bytes_a_token(student, SummedLoss(student.model), CPU)
    assert inputs_of_blocks <= checkpointed < plain / 2
    student.model.activation_checkpointing_disable()
    assert bytes_a_token(student, SummedLoss(student.model), CPU) == plain
    adapted = add_lora(student, LoraSettings(rank=8))
    assert bytes_a_token(adapted, SummedLoss(adapted.model), CPU) > plain / 2
