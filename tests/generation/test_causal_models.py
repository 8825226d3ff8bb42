"""The ways to compute a causal student's logits agree, row by row."""

from __future__ import annotations

import pytest
import torch

from smallsteps.generation.causal_cache import BatchCache
from smallsteps.generation.causal_models import CausalModel, FusedModel, ModuleModel
from smallsteps.students.llama import LlamaRunner
from tiny_solving import Tiny

SOURCES = [(5, 9, 30, 31), (7, 8), (40, 41, 42, 5, 6, 7)]


@torch.inference_mode()
def passes(model: CausalModel) -> list[torch.Tensor]:
    """Logits after three prompts, after steps of two of them, and after one has read on."""
    first, caches = model.read(SOURCES, [None] * 3)
    batch = BatchCache()
    batch.add([caches[2], caches[1]])
    steps = []
    for tokens in ([9, 10], [11, 12]):
        steps.append(model.step(tokens, batch))
        batch.after_token()
    later, _ = model.read([(3, 4), (5, 6)], [batch.row(0), None])
    return [first, *steps, later]


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_all_give_the_same_logits(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    runner = LlamaRunner(student.model, torch.float32)
    modules = passes(ModuleModel(student.model, student.pad_id))
    for model in (FusedModel(runner), ModuleModel(student.model, student.pad_id, runner)):
        for ours, theirs in zip(passes(model), modules, strict=True):
            assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_modules_with_a_runner_leave_the_steps_to_it(tiny: Tiny, monkeypatch) -> None:
    student = tiny("llama")
    model = ModuleModel(student.model, student.pad_id, LlamaRunner(student.model, torch.float32))
    read = passes(model)
    monkeypatch.setattr(model.runner, "step", lambda *_: torch.full((2, 3), 7.0))
    assert not torch.equal(read[1], passes(model)[1]) and passes(model)[1].eq(7).all()


def test_only_the_modules_pad(tiny: Tiny) -> None:
    student = tiny("llama")
    assert FusedModel(LlamaRunner(student.model, torch.float32)).padded([2, 3, 9]) == 14
    assert ModuleModel(student.model, student.pad_id).padded([2, 3, 9]) == 27
