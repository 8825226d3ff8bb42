"""Adapters are merged into a copy; digests tell weights apart."""

from __future__ import annotations

from collections.abc import Callable

import torch

from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import Student
from smallsteps.students.weights import base_model, has_adapters, merged, weights_digest

Tiny = Callable[..., Student]


def test_merging_leaves_the_adapted_model_alone(tiny: Tiny) -> None:
    student = add_lora(tiny("llama"), LoraSettings(rank=2), seed=0)
    copy = merged(student.model)
    assert has_adapters(student.model) and not has_adapters(copy)
    assert not any("lora" in name for name, _ in copy.named_parameters())


def test_a_model_without_adapters_is_its_own_base_and_is_not_copied(tiny: Tiny) -> None:
    model = tiny("llama").model
    assert merged(model) is model and base_model(model) is model and not has_adapters(model)


def test_the_base_of_an_adapted_model_is_the_model_of_transformers(tiny: Tiny) -> None:
    student = tiny("llama")
    model = student.model
    add_lora(student, LoraSettings(rank=2))
    assert base_model(student.model) is model


def test_digests_are_those_of_the_weights(tiny: Tiny) -> None:
    first, again, other = (tiny("t5", seed=seed).model for seed in (1, 1, 2))
    assert weights_digest(first) == weights_digest(again) != weights_digest(other)
    with torch.no_grad():
        next(again.parameters())[0, 0] += 1
    assert weights_digest(first) != weights_digest(again)
