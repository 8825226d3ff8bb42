"""The head in slices is the head at once, forward and backward."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from smallsteps.students.lm_head import (
    CappedHead,
    head_inputs,
    head_slices,
    summed_cross_entropy,
    token_log_probs,
    vocabulary_of,
)

STUDENTS = ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2", "llama", "qwen"]


def test_uniform_logits_cost_log_vocabulary_for_each_counted_token():
    head = nn.Linear(4, 10, bias=False)
    nn.init.zeros_(head.weight)
    loss = summed_cross_entropy(torch.randn(6, 4), head, torch.arange(6))
    assert loss.item() == pytest.approx(6 * math.log(10), rel=1e-6)


def test_head_in_pieces_gives_loss_and_gradient_of_the_whole():
    torch.manual_seed(0)
    head, labels = nn.Linear(4, 10), torch.randint(0, 10, (23,))
    found = []
    for elements in (10**6, 30):
        hidden = torch.randn(23, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
        head.zero_grad()
        loss = summed_cross_entropy(hidden, head, labels, elements)
        loss.backward()
        found.append((loss.detach(), hidden.grad, head.weight.grad.clone()))
    for whole, pieces in zip(*found, strict=True):
        torch.testing.assert_close(whole, pieces)


def test_weighted_losses_are_the_weighted_sum_of_log_probabilities():
    torch.manual_seed(0)
    head, labels, weights = nn.Linear(4, 10), torch.randint(0, 10, (23,)), torch.rand(23)
    hidden = torch.randn(23, 4)
    log_probs = token_log_probs(hidden, head, labels)
    assert log_probs.tolist() == pytest.approx(
        head(hidden).log_softmax(-1).gather(1, labels[:, None])[:, 0].tolist()
    )
    for elements in (10**6, 30):
        loss = summed_cross_entropy(hidden, head, labels, elements, weights)
        assert loss.item() == pytest.approx(-(log_probs @ weights).item(), rel=1e-5)
        sliced = token_log_probs(hidden, head, labels, elements)
        assert torch.allclose(sliced, log_probs, atol=1e-6)


def test_half_precision_logits_are_reduced_in_float32():
    head, labels = nn.Linear(4, 10).bfloat16(), torch.zeros(3, dtype=torch.long)
    hidden = torch.randn(3, 4).bfloat16()
    assert token_log_probs(hidden, head, labels).dtype is torch.float32
    assert summed_cross_entropy(hidden, head, labels).dtype is torch.float32


def test_slices_cover_every_position_once_and_a_row_over_the_limit_goes_alone():
    for positions, vocabulary, limit in ((7, 10, 30), (7, 10, 5), (0, 10, 30), (3, 10, 10**6)):
        slices = list(head_slices(positions, vocabulary, limit))
        covered = [place for part in slices for place in range(positions)[part]]
        assert covered == list(range(positions))
        assert all(
            (part.stop - part.start) * vocabulary <= max(limit, vocabulary) for part in slices
        )


@pytest.mark.parametrize("style", STUDENTS)
def test_the_head_on_its_inputs_gives_the_models_own_logits(tiny, style):
    student = tiny(style)
    ids = torch.tensor([[5, 6, 7, 1]], device=student.device)
    inputs = {"input_ids": ids}
    if student.architecture == "encoder-decoder":
        inputs["decoder_input_ids"] = torch.tensor(
            [[student.start_id, 9, 10]], device=student.device
        )
    with torch.no_grad():
        hidden, head = head_inputs(student.model, **inputs)
        assert torch.equal(head(hidden), student.model(**inputs).logits)
    assert isinstance(head, nn.Identity) == (style == "bart"), "BART adds a bias after its head"
    assert isinstance(head, CappedHead) == (style == "t5gemma")
    if style != "bart":
        assert vocabulary_of(head) == head(hidden).shape[-1]
