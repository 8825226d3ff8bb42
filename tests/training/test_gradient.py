"""Gradients of updates: the same whether their tensors were made ahead or on the way."""

from __future__ import annotations

import pytest
import torch

from smallsteps.training import gradient as gradient_module
from smallsteps.training.contrast import Contrast
from smallsteps.training.gradient import Accumulator, is_asynchronous
from smallsteps.training.memory import MicroBatchSize
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import ContrastSettings, TrainSettings
from smallsteps.training.updates import TrainingInputs, Updates

CPU = torch.device("cpu")


@pytest.fixture
def accumulator(tiny, direct, task):
    """`accumulator(style, tokens=150)`: of a training of 12 examples, half of them with a
    contrast, 6 an update."""

    def make(style="t5", tokens=150):
        student, examples = tiny(style), direct(12)
        contrasts = {
            example.id: Contrast(example.question, (((None, "then 3."),),), (((None, "no 4."),),))
            for example in examples[::2]
        }
        settings = TrainSettings(passes=1, update_examples=6, learning_rate=1e-3)
        checked = preflight(student, examples, [], settings, task, 0)
        updates = Updates(
            TrainingInputs(student, task, checked, settings, contrasts, ContrastSettings())
        )
        return Accumulator(updates, updates.loss_model(), MicroBatchSize(tokens), CPU, 0, 1)

    return make


def taken(accumulator, number):
    accumulator.loss_model.zero_grad()
    update, gradient = accumulator.gradient(number)
    grads = [p.grad.clone() for p in accumulator.loss_model.parameters() if p.grad is not None]
    return update, [gradient.loss, gradient.contrast, *grads]


def assert_same(one, other):
    assert len(one) == len(other)
    assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_tensors_made_ahead_give_the_same_gradient(accumulator, style, monkeypatch):
    plain, ahead = accumulator(style), accumulator(style)
    collated = []
    batch_of = ahead.updates.batch
    monkeypatch.setattr(
        ahead.updates, "batch", lambda rows: collated.append(len(rows)) or batch_of(rows)
    )
    ahead.prepare(1)
    made = len(collated)
    assert made, "rows without a contrast"
    update, figures = taken(ahead, 1)
    assert len(collated) == made, "none is made twice"
    assert update.number == 1 and update.usable > 0
    assert_same(figures, taken(plain, 1)[1])


def test_what_was_made_for_another_update_or_size_is_not_used(accumulator):
    plain, ahead = accumulator(), accumulator()
    ahead.prepare(0)
    assert_same(taken(ahead, 1)[1], taken(plain, 1)[1])
    ahead.prepare(1)
    ahead.size.tokens = plain.size.tokens = 75
    assert_same(taken(ahead, 1)[1], taken(plain, 1)[1])


def test_beside_an_asynchronous_device_the_next_update_is_made_before_it_is_needed(
    accumulator, monkeypatch
):
    monkeypatch.setattr(gradient_module, "is_asynchronous", lambda device: True)
    ahead = accumulator()
    prepared = []
    prepare = ahead.prepare
    monkeypatch.setattr(ahead, "prepare", lambda number: prepared.append(number) or prepare(number))
    for number in (0, 1):
        assert_same(taken(ahead, number)[1], taken(accumulator(), number)[1])
    assert prepared == [1, 2], "there is no update 2, and none is made"
    assert not is_asynchronous(CPU) and is_asynchronous(torch.device("cuda"))


def test_memory_that_runs_out_halves_the_micro_batches_and_the_gradient_begins_anew(
    accumulator, monkeypatch
):
    limited, small = accumulator(tokens=600), accumulator(tokens=150)
    for made in (limited, small):
        for module in made.loss_model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    made_ahead = []
    prepare = limited.prepare
    monkeypatch.setattr(gradient_module, "is_asynchronous", lambda device: True)
    monkeypatch.setattr(limited, "prepare", lambda n: made_ahead.append(limited.size.tokens))
    forward = type(limited.loss_model).forward

    def short(self, batch):
        if getattr(batch, "padded_tokens", 0) > 150:
            raise RuntimeError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(type(limited.loss_model), "forward", short)
    prepare(0)
    assert_same(taken(limited, 0)[1], taken(small, 0)[1])
    assert limited.size.tokens == 150 and made_ahead == [150], "not for a size that did not fit"
