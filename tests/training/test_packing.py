"""Packed rows train as padded ones do: same losses, same gradients."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from smallsteps.errors import TrainingError
from smallsteps.students.loading import load_student
from smallsteps.training import packing
from smallsteps.training.batches import Encoded, collate
from smallsteps.training.fit import fit
from smallsteps.training.losses import SummedLoss
from smallsteps.training.packing import (
    NAME,
    PACKED,
    attending_to_rows,
    collate_packed,
    packed_batches,
)
from smallsteps.training.settings import TrainSettings
from tiny_causal import causal_model, causal_rows


def loss_and_gradients(model, batch):
    model.zero_grad()
    with attending_to_rows(model) if batch.packed else torch.enable_grad():
        loss = SummedLoss(model)(batch)
        loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("prompt_weight", [0.0, 0.25])
@pytest.mark.parametrize("model_type", sorted(PACKED))
def test_losses_and_gradients_are_those_of_padded_rows(model_type, prompt_weight):
    """With windows shorter than some rows, where the model has windows."""
    model = causal_model(model_type)
    usual = model.config._attn_implementation
    padded, packed = (
        loss_and_gradients(model, batch)
        for batch in (
            collate(causal_rows(), None, prompt_weight),
            collate_packed(causal_rows(), prompt_weight),
        )
    )
    assert packed[0] == pytest.approx(padded[0], rel=1e-6)
    largest = max(float(grad.abs().max()) for grad in padded[1].values())
    for name, grad in padded[1].items():
        torch.testing.assert_close(packed[1][name], grad, rtol=1e-4, atol=1e-6 * largest, msg=name)
    assert model.config._attn_implementation == usual != NAME


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("before", [-1, 3])
def test_the_kernel_is_told_what_the_mask_says(before, grouped, monkeypatch):
    """By a stand-in for the kernel, which needs a GPU: one row after another."""
    seen = []

    def kernel(query, key, value, starts, starts_of_keys, longest, longest_key, **further):
        seen.append((query.dtype, further.get("enable_gqa", False), longest))
        assert further["window_size"] == (before, 0) and starts is starts_of_keys
        out = []
        for start, end in pairwise(starts.tolist()):
            parts = [part[start:end].transpose(0, 1)[None] for part in (query, key, value)]
            back = torch.arange(end - start)[:, None] - torch.arange(end - start)[None]
            visible = (back >= 0) & ((back <= before) if before >= 0 else True)
            out.append(
                torch.nn.functional.scaled_dot_product_attention(
                    *parts,
                    visible,
                    scale=further["scale"],
                    enable_gqa=further.get("enable_gqa", False),
                )[0].transpose(0, 1)
            )
        return torch.cat(out)

    monkeypatch.setattr(packing, "varlen_attn", kernel, raising=False)
    known = {"window_size", "scale", *(["enable_gqa"] if grouped else [])}
    monkeypatch.setattr(packing, "VARLEN", known)
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 12, 8) for heads in (4, 2, 2))
    starts = torch.tensor([0, 5, 6, 12], dtype=torch.int32)
    wanted = packing._under_mask(query, key, value, 0.3, before, starts)
    found = packing._in_kernel(query, key, value, 0.3, before, starts, 6)
    torch.testing.assert_close(found, wanted)
    assert seen == [(torch.float32, grouped, 6)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        packing._in_kernel(query, key, value, 0.3, before, starts, 6)
    assert seen[1][0] is torch.bfloat16


@pytest.mark.skipif("window_size" not in packing.VARLEN, reason="torch is too old")
def test_torchs_kernel_takes_what_it_is_given():
    """Shapes and types alone, forward and backward: there is no GPU here."""
    with FakeTensorMode():
        query, key, value = (
            torch.empty(1, heads, 12, 64, requires_grad=True) for heads in (9, 3, 3)
        )
        starts = torch.empty(3, dtype=torch.int32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            read = packing._in_kernel(query, key, value, 0.125, -1, starts, 7)
        assert read.shape == (1, 12, 9, 64) and read.dtype is torch.bfloat16
        read.float().sum().backward()
        assert query.grad.shape == query.shape and key.grad.shape == key.shape


def test_activations_that_are_computed_again_see_rows_alone_too():
    model = causal_model("llama").train()
    wanted = loss_and_gradients(model, collate_packed(causal_rows()))
    model.activation_checkpointing_enable({"use_reentrant": False})
    found = loss_and_gradients(model, collate_packed(causal_rows()))
    assert found[0] == wanted[0]
    for name, grad in wanted[1].items():
        assert torch.equal(found[1][name], grad), name


def test_a_packed_batch_by_hand():
    rows = [
        Encoded((), (5, 6, 7, 8), (False, False, True, True), ("a",)),
        Encoded((), (9, 4, 2), (False, True, True), ("b",)),
    ]
    batch = collate_packed(rows)
    assert batch.inputs.tolist() == [[5, 6, 7, 9, 4]]
    assert batch.labels.tolist() == [7, 8, 4, 2] and batch.places.tolist() == [1, 2, 3, 4]
    assert batch.weights is None and batch.padded_tokens == 5
    positions, starts, longest = batch.packed
    assert positions.tolist() == [[0, 1, 2, 0, 1]]
    assert starts.tolist() == [0, 3, 5] and starts.dtype is torch.int32 and longest == 3
    weighted = collate_packed(rows, prompt_weight=0.5)
    assert weighted.labels.tolist() == [6, 7, 8, 4, 2]
    assert weighted.weights.tolist() == [0.5, 1, 1, 1, 1]


def test_batches_are_few_full_and_even():
    rows = causal_rows((60, 50, 40, 30, 20, 10, 5))
    batches = packed_batches(rows, 110)
    sizes = sorted(sum(row.tokens for row in batch) for batch in batches)
    assert sizes == [105, 110]
    assert sorted(row.tokens for batch in batches for row in batch) == [5, 10, 20, 30, 40, 50, 60]
    assert [len(batch) for batch in packed_batches(rows, 10_000)] == [7]
    alone = packed_batches(rows, 45)
    assert all(len(b) == 1 or sum(row.tokens for row in b) <= 45 for b in alone)
    assert sum(map(len, alone)) == 7 and packed_batches([], 45) == []


SETTINGS = TrainSettings(
    passes=3, update_examples=8, learning_rate=1e-3, evaluations=2, micro_batch_tokens=300
)


def test_a_packed_training_has_the_losses_of_a_padded_one(tiny, direct, task, tmp_path):
    curves = {}
    for packed in (False, True):
        result = fit(
            tiny("llama"),
            direct(24),
            direct(6, 1, "v"),
            SETTINGS.changed(packing=packed),
            tmp_path / str(packed),
            task=task,
        )
        curves[packed] = result.curves
        assert (result.report.padding_share == 0) is packed
    for packed, padded in zip(curves[True], curves[False], strict=True):
        for name in ("train_loss", "validation_loss"):
            assert (name in packed) == (name in padded)
            assert packed.get(name, 0) == pytest.approx(padded.get(name, 0), rel=1e-4)
    load_student(result.folder(), device="cpu")


@pytest.mark.parametrize(
    ("style", "dropout", "message"),
    [
        ("t5", 0.0, r"rows of a t5 cannot be packed, only those of gemma, .* Set train.packing=f"),
        ("llama", 0.1, r"no dropout in packed attention\. Set train.packing=false"),
    ],
)
def test_what_cannot_be_packed_is_refused(tiny, direct, task, tmp_path, style, dropout, message):
    student = tiny(style)
    student.model.config.attention_dropout = dropout
    settings = SETTINGS.changed(packing=True)
    with pytest.raises(TrainingError, match=message):
        fit(student, direct(8), [], settings, tmp_path / "run", task=task)
