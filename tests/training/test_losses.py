"""The loss by hand, and every way of cutting a batch giving the same sum and gradient."""

from __future__ import annotations

import pytest
import torch

from smallsteps.students.tokens import prepare
from smallsteps.training import losses
from smallsteps.training.batches import Encoded, collate, micro_batches
from smallsteps.training.encode import encode
from smallsteps.training.losses import UNMASKED, SummedLoss, needs_no_mask
from tiny_causal import causal_model, causal_rows


def precision(student):
    """float64, in which losses can be compared closely; for T5Gemma float32, as its attention to a
    window full of padding is NaN in float64 (and only there)."""
    return torch.float32 if student.name == "tiny-t5gemma" else torch.float64


def gradients(student, batches):
    """(summed loss, gradient of every trained parameter) over `batches`, dropout off."""
    loss_model = SummedLoss(student.model.to(precision(student)).eval())
    student.model.zero_grad()
    total = 0.0
    for rows in batches:
        loss = loss_model(collate(rows, student.start_id).to(student.device))
        loss.backward()
        total += loss.item()
    return total, {
        n: p.grad.clone() for n, p in student.model.named_parameters() if p.grad is not None
    }


def assert_same(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    assert one[1].keys() == other[1].keys()
    largest = max(float(grad.abs().max()) for grad in one[1].values())
    for name, grad in one[1].items():
        torch.testing.assert_close(grad, other[1][name], rtol=1e-4, atol=1e-6 * largest, msg=name)


@pytest.mark.parametrize(
    "style", ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2", "llama", "qwen"]
)
def test_loss_is_that_of_the_models_own_forward_one_example_at_a_time(tiny, style, direct, task):
    student = tiny(style)
    rows = encode(student, task, direct(5))
    student.model.to(precision(student)).eval()
    expected = 0.0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.target], device=student.device)
            if student.architecture == "causal":
                labels = ids.where(torch.tensor([row.counted], device=student.device), -100)
                mean = student.model(input_ids=ids, labels=labels).loss
            else:
                start = torch.tensor([[student.start_id, *row.target[:-1]]], device=student.device)
                source = torch.tensor([row.source], device=student.device)
                mean = student.model(input_ids=source, decoder_input_ids=start, labels=ids).loss
            expected += mean.item() * row.loss_tokens
    found, _ = gradients(student, [rows])
    rounding = 1e-6 if precision(student) is torch.float64 else 1e-5
    assert found == pytest.approx(expected, rel=rounding)


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "qwen"])
def test_micro_batches_add_up_to_one_padded_batch(tiny, style, direct, task):
    student = tiny(style)
    rows = encode(student, task, direct(12))
    pieces = list(micro_batches(rows, 150))
    assert len(pieces) > 3
    assert_same(gradients(student, pieces), gradients(student, [rows]))


@pytest.mark.parametrize("style", ["qwen", "llama"])
@pytest.mark.parametrize("opens", ["ES", "AS"])
def test_one_pass_over_a_chain_trains_what_its_separate_examples_train(
    tiny, style, opens, chains, task
):
    student = prepare(tiny(style), task, path="uni")
    examples = chains(3, opens)
    together = encode(student, task, examples)
    apart = [encode(student, task, [example])[0] for example in examples]
    assert (len(together), len(apart)) == (3, 12)
    assert sum(r.loss_tokens for r in together) == sum(r.loss_tokens for r in apart)
    assert_same(gradients(student, [together]), gradients(student, [apart]))


def test_one_pass_equals_separate_examples_for_one_half_of_a_dual_pair(tiny, chains, task):
    student = prepare(tiny("qwen"), task, path="dual", role="ES")
    for kind in ("ES", "AS"):
        examples = [e for e in chains(2) if e.kind == kind]
        together = encode(student, task, examples)
        apart = [encode(student, task, [example])[0] for example in examples]
        assert len(together) == 2
        assert_same(gradients(student, [together]), gradients(student, [apart]))


def test_pad_token_that_is_the_end_token_keeps_the_end_in_the_loss(tiny, direct, task):
    student = tiny("qwen")
    assert student.tokenizer.pad_token_id == student.end_id
    batch = collate(encode(student, task, direct(6)), None)
    assert (batch.labels == student.end_id).sum() >= 6
    assert len(batch.places) == len(batch.labels)


@torch.no_grad()
def test_prompt_tokens_weigh_what_the_settings_say_by_hand(tiny):
    """Both normalisers, against logits of the model itself."""
    student = tiny("llama")
    rows = [
        Encoded((), (5, 6, 7, 8, 2), (False, False, False, True, True), ("a",)),
        Encoded((), (9, 4, 2), (False, True, True), ("b",)),
    ]
    expected = 0.0
    for row in rows:
        ids = torch.tensor([row.target], device=student.device)
        logprobs = student.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        for place, (token, counts) in enumerate(zip(row.target[1:], row.counted[1:], strict=True)):
            expected -= (1.0 if counts else 0.1) * logprobs[place, token].item()
    found = SummedLoss(student.model)(
        collate(rows, None, prompt_weight=0.1).to(student.device)
    ).item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert [row.weight(0.1) for row in rows] == pytest.approx([2 + 0.2, 2.0])
    assert [row.weight(0.1, all_tokens=True) for row in rows] == [4, 2]
    pieces = SummedLoss(student.model, head_elements=1)(
        collate(rows, None, prompt_weight=0.1).to(student.device)
    ).item()
    assert pieces == pytest.approx(expected, rel=1e-5)


def test_an_encoder_decoder_has_no_loss_on_its_prompt():
    row = Encoded((5, 6), (7, 1), (True, True), ("a",))
    assert collate([row], 0, prompt_weight=0.1).weights is None and row.weight(0.1) == 2


@pytest.mark.parametrize("model_type", sorted(UNMASKED))
def test_without_a_mask_losses_and_gradients_are_those_with_one(model_type, monkeypatch):
    """Rows longer than a window, much shorter than the longest, and of other lengths."""
    model = causal_model(model_type)
    batch = collate(causal_rows(), None)
    found = []
    for device_type in ("cpu", "cuda"):
        assert needs_no_mask(model, device_type) is (device_type == "cuda")
        monkeypatch.setattr(losses, "needs_no_mask", lambda *_, on=device_type: on == "cuda")
        model.zero_grad()
        loss = SummedLoss(model)(batch)
        loss.backward()
        found.append((loss.item(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    assert_same(*found)
