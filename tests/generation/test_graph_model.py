"""Steps over fixed seats give the logits of the fast passes, and few sizes of them are recorded."""

from __future__ import annotations

import pytest
import torch

from smallsteps.generation.causal_models import CausalModel, FusedModel
from smallsteps.generation.graph_model import GraphModel
from smallsteps.students.llama import LlamaRunner
from tiny_solving import Tiny

SOURCES = [(5, 9, 30, 31), (7, 8), (40, 41, 42, 5, 6, 7)]


@torch.inference_mode()
def passes(model: CausalModel) -> list[torch.Tensor]:
    """Logits after three prompts, after steps of two of them, and after rows have read on."""
    first, caches = model.read(SOURCES, [None] * 3)
    batch = model.new_cache()
    batch.add([caches[2], caches[1]])
    steps = []
    for tokens in ([9, 10], [11, 12]):
        steps.append(model.step(tokens, batch).clone())
        batch.after_token()
    assert batch.drop([0]) == [1]
    later, _ = model.read([(3, 4), (5, 6), (7,)], [batch.row(0), None, caches[0]])
    return [first, *steps, later]


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_logits_are_those_of_the_fast_passes(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    runner = LlamaRunner(student.model, torch.float32)
    ours, theirs = passes(GraphModel(runner, student.pad_id, 4)), passes(FusedModel(runner))
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() < 1e-4 * other.abs().max()


@torch.inference_mode()
def test_steps_are_recorded_for_few_numbers_of_rows(tiny: Tiny) -> None:
    student = tiny("llama")
    model = GraphModel(LlamaRunner(student.model, torch.float32), student.pad_id, 40)
    _, caches = model.read([(5, 6)] * 40, [None] * 40)
    batch = model.new_cache()
    batch.add(caches)
    for rows in (40, 33, 32, 20, 9, 8, 1):
        batch.drop(range(len(batch.lengths) - rows))
        model.step([7] * rows, batch)
        batch.after_token()
    assert list(batch.recordings) == [40, 32, 8]
