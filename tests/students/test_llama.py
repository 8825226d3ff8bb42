"""Fast passes of Llama-class models: the same numbers as the modules, whatever shares the pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from smallsteps.generation.causal_cache import BatchCache, RowCache
from smallsteps.students import llama
from smallsteps.students.llama import LlamaRunner, attend, runs_fast
from smallsteps.students.student import Student

Tiny = Callable[..., Student]
SOURCES = [[5, 9, 30, 31, 32, 33, 60], [7, 8], [40, 41, 42, 5, 6, 7, 8, 9, 10, 11, 12]]


def logits(student: Student, ids: list[int]) -> torch.Tensor:
    """Of the modules, after every id: [ids, vocab]."""
    out: torch.Tensor = student.model(input_ids=torch.tensor([ids])).logits[0]
    return out


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool((ours - theirs).abs().max() < 1e-4 * theirs.abs().max())


def varied(student: Student) -> Student:
    """Norms and biases that do something: those of a fresh model are ones and zeros."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in student.model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return student


@pytest.mark.parametrize("style", ["llama", "qwen"])
@torch.inference_mode()
def test_prompts_and_steps_give_the_logits_of_the_modules(tiny: Tiny, style: str) -> None:
    student = varied(tiny(style))
    assert runs_fast(student.model)
    runner = LlamaRunner(student.model, torch.float32)
    cut = [3, 1, 5]
    heads = [source[:k] for source, k in zip(SOURCES, cut, strict=True)]
    read, states = runner.read(heads, [()] * 3)
    # one row goes on from what it has read, beside one that begins
    more, grown = runner.read([SOURCES[2][5:8], SOURCES[1]], [states[2], ()])
    wanted = [logits(student, source) for source in SOURCES]
    for n, k in enumerate(cut):
        assert close(read[n], wanted[n][k - 1])
    assert close(more[0], wanted[2][7]) and close(more[1], wanted[1][-1])
    cache = BatchCache()
    rows = [states[0], grown[0]]
    cache.add([RowCache(tuple(row), row[0][0].shape[1]) for row in rows])
    for step in range(3):
        layers, mask, positions = cache.before_token()
        tokens = torch.tensor([SOURCES[0][3 + step], SOURCES[2][8 + step]])
        after = runner.step(tokens, positions.squeeze(1), layers, mask)
        cache.after_token()
        assert close(after[0], wanted[0][3 + step]) and close(after[1], wanted[2][8 + step])


@torch.inference_mode()
def test_a_step_runs_where_the_weights_are(tiny: Tiny) -> None:
    # no GPU is needed: tensors on `meta` refuse to meet those on the CPU
    student = tiny("llama")
    student.model.to("meta")
    runner = LlamaRunner(student.model, torch.bfloat16)
    block = runner.layers[0]
    caches = torch.zeros(1, block.heads, 4, block.d, dtype=torch.bfloat16, device="meta")
    cache = BatchCache()
    cache.add([RowCache(((caches[0], caches[0]),) * len(runner.layers), n) for n in (4, 4)])
    cache.lengths[1] = 2  # rows of two lengths need a mask
    layers, mask, positions = cache.before_token()
    after = runner.step(torch.tensor([5, 6]), positions.squeeze(1), layers, mask)
    assert after.device.type == "meta" and after.shape == (2, student.model.config.vocab_size)


@torch.inference_mode()
def test_reduced_precision_is_close_to_the_modules(tiny: Tiny) -> None:
    student = tiny("llama")
    runner = LlamaRunner(student.model, torch.bfloat16)
    read, _ = runner.read(SOURCES, [()] * 3)
    assert read.dtype is torch.bfloat16
    wanted = torch.stack([logits(student, source)[-1] for source in SOURCES])
    assert (read.float() - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_other_models_keep_their_modules(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not runs_fast(tiny("t5").model)
    for name, value in (
        ("hidden_act", "gelu"),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("rope_parameters", {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
    ):
        model = tiny("qwen").model
        setattr(model.config, name, value)
        assert not runs_fast(model), name
    monkeypatch.setattr(llama, "LARGEST_MODEL", 1000)
    assert not runs_fast(tiny("llama").model), "weights are copied: not those of large models"


@pytest.mark.parametrize("masked", [True, False])
def test_queries_that_share_keys_attend_as_if_each_had_its_own(masked: bool) -> None:
    queries, keys, values = (
        torch.randn(2, 3, 4, 8),
        torch.randn(2, 3, 5, 8),
        torch.randn(2, 3, 5, 8),
    )
    mask = torch.zeros(2, 1, 1, 5)
    mask[1, ..., :2] = -torch.inf
    attended = attend(queries, keys, values, mask if masked else None)
    alone = F.scaled_dot_product_attention(
        queries.flatten(1, 2)[:, :, None],
        keys.repeat_interleave(4, 1),
        values.repeat_interleave(4, 1),
        attn_mask=mask if masked else None,
        scale=1.0,
    )
    assert (attended.flatten(1, 2) - alone[:, :, 0]).abs().max() < 1e-5
