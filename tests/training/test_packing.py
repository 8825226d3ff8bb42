"""Packed rows train as padded ones do: same losses, same gradients."""

from __future__ import annotations

import pytest
import torch

from smallsteps.errors import TrainingError
from smallsteps.students.loading import load_student
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
