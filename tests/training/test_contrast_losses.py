"""Rationales set against each other: read together as if each were read alone, pulled apart by
gradients through all."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from smallsteps.students.lm_head import head_inputs
from smallsteps.training.batches import Encoded, collate
from smallsteps.training.contrast import ContrastItem, EncodedRationale, anchor
from smallsteps.training.contrast_batches import collate_pairs, collate_sequences
from smallsteps.training.contrast_losses import ContrastLoss, hidden_states
from smallsteps.training.losses import SummedLoss


def items_of(question, *targets):
    return ContrastItem(tuple(EncodedRationale(question, target) for target in targets))


TRIPLES = [
    items_of((5, 6, 7, 8, 1), (9, 10, 11, 1), (12, 13, 1), (14, 15, 16, 17, 18, 1)),
    items_of((6, 5, 1), (11, 12, 1), (9, 9, 9, 9, 1), (20, 1)),
]
PAIRS = [ContrastItem((item.rationales[0], item.rationales[2])) for item in TRIPLES]
PARTED = [
    ContrastItem(
        (
            EncodedRationale((5, 6, 1), (9, 10, 1)),
            EncodedRationale((5, 6, 7, 7, 1), (12, 1)),
            EncodedRationale((5, 8, 1), (14, 15, 16, 1)),
        )
    ),
    ContrastItem(
        (
            EncodedRationale((6, 1), (11, 1)),
            EncodedRationale((6, 5, 5, 1), (9, 9, 1)),
            EncodedRationale((6, 4, 1), (20, 21, 1)),
        )
    ),
]
"""An encoder-decoder's segments, each after earlier ones of its own."""


def together(student, items, prompt_weight=0.0, **settings):
    if student.start_id is not None:
        batch = collate_pairs(items, student.start_id)
    else:
        batch = collate_sequences(items, prompt_weight)
    batch = batch._replace(weights=batch.weights.to(student.model.dtype)).to(student.device)
    return ContrastLoss(student.model, **settings), batch


def states(student, reading):
    """Hidden states of one rationale, read in a pass of its own, [1 + tokens, width]: the first
    stands before its first token. And the head."""
    if student.start_id is not None:
        hidden, head = head_inputs(
            student.model,
            input_ids=torch.tensor([reading.source], device=student.device),
            decoder_input_ids=torch.tensor(
                [[student.start_id, *reading.target]], device=student.device
            ),
        )
        return hidden[0], head
    ids = torch.tensor([[*reading.source, *reading.target]], device=student.device)
    hidden, head = head_inputs(student.model, input_ids=ids)
    return hidden[0, len(reading.source) - 1 :], head


def log_probs(student, reading):
    hidden, head = states(student, reading)
    target = torch.tensor(reading.target, device=student.device)
    return head(hidden[:-1]).log_softmax(-1).gather(1, target[:, None])[:, 0]


def alone_row(student, item):
    """The anchor as it is trained without contrasts."""
    own = item.rationales[0]
    if student.start_id is not None:
        return Encoded(own.source, own.target, (True,) * len(own.target), ())
    counted = (False,) * len(own.source) + (True,) * len(own.target)
    return Encoded((), (*own.source, *own.target), counted, ())


def by_hand(student, items, kind="triplet", margin=1.0, state="last", reference=None):
    losses = []
    for item in items:
        if kind == "triplet":
            a, p, n = (
                hidden[-1] if state == "last" else hidden[1:].mean(0)
                for hidden, _ in (states(student, reading) for reading in item.rationales)
            )
            far, near = F.cosine_similarity(a, n, dim=0), F.cosine_similarity(a, p, dim=0)
            losses.append((margin + far - near).clamp(min=0))
            continue
        right, wrong = (log_probs(student, reading) for reading in item.rationales)
        if kind == "dpo":
            before = [log_probs(reference, reading).sum().detach() for reading in item.rationales]
            losses.append(
                -F.logsigmoid(0.1 * ((right.sum() - before[0]) - (wrong.sum() - before[1])))
            )
        elif kind == "orpo":
            odds = [m - torch.log(1 - torch.exp(m)) for m in (right.mean(), wrong.mean())]
            losses.append(-F.logsigmoid(odds[0] - odds[1]))
        else:
            losses.append(-torch.log(1 - torch.exp(wrong)).mean())
    return torch.stack(losses).sum()


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.allclose(found[name], value, atol=1e-5 * float(value.abs().max()) + 1e-9), name


@pytest.mark.parametrize("state", ["last", "mean"])
@pytest.mark.parametrize("style", ["t5", "t5-scaled", "llama", "qwen"])
def test_one_pass_is_the_same_as_a_pass_for_each(tiny, style, state):
    student = tiny(style)
    student.model.double()
    loss, batch = together(student, TRIPLES, state=state)
    sums = loss(batch)
    assert sums.contrast.item() == pytest.approx(
        by_hand(student, TRIPLES, state=state).item(), rel=1e-6
    )
    rows = [alone_row(student, item) for item in TRIPLES]
    assert [anchor(row) for row in rows] == [item.rationales[0] for item in TRIPLES]
    assert sums.language.item() == pytest.approx(
        SummedLoss(student.model)(collate(rows, student.start_id)).item(), rel=1e-6
    )
    assert_same_gradients(
        gradients(student.model, loss(batch).contrast),
        gradients(student.model, by_hand(student, TRIPLES, state=state)),
    )


def test_segments_with_sources_of_their_own_are_read_after_them(tiny):
    student = tiny("t5")
    student.model.double()
    loss, batch = together(student, PARTED)
    assert len(batch.source) == 6, "a source for each of the three"
    assert loss(batch).contrast.item() == pytest.approx(by_hand(student, PARTED).item(), rel=1e-6)


def test_an_encoder_decoder_reads_rationales_of_like_length_together(tiny):
    long, short = ((items_of((5, 6, 1), *((7,) * length for _ in range(3)))) for length in (400, 4))
    mixed = [long, short, items_of((6, 1), (8,) * 4, (9,) * 400, (7,) * 4)]
    student = tiny("t5")
    student.model.double()
    loss, batch = together(student, mixed)
    assert sum(inputs.numel() for inputs in batch.inputs) == 4 * 401 + 5 * 5, "nothing is padded"
    assert loss(batch).contrast.item() == pytest.approx(by_hand(student, mixed).item(), rel=1e-6)


@pytest.mark.parametrize("kind", ["dpo", "orpo", "unlikelihood"])
@pytest.mark.parametrize("style", ["t5", "llama"])
def test_losses_over_pairs_are_their_formulas(tiny, style, kind):
    student, reference = tiny(style), tiny(style)
    for one in (student, reference):
        one.model.double()
    loss, batch = together(student, PAIRS, kind=kind)
    with torch.no_grad():  # away from the reference, where DPO would be log 2 whatever it did
        for index, parameter in enumerate(student.model.parameters()):
            parameter += 0.05 * torch.sin(torch.arange(parameter.numel()).double() + index).view_as(
                parameter
            )
    sums = loss(batch)
    assert sums.contrast.item() == pytest.approx(
        by_hand(student, PAIRS, kind, reference=reference).item(), rel=1e-6
    )
    rows = [alone_row(student, item) for item in PAIRS]
    assert sums.language.item() == pytest.approx(
        SummedLoss(student.model)(collate(rows, student.start_id)).item(), rel=1e-6
    )
    right = sum(log_probs(student, item.rationales[0]).mean().item() for item in PAIRS)
    assert sums.right.item() == pytest.approx(right, rel=1e-6)
    assert_same_gradients(
        gradients(student.model, loss(batch).contrast),
        gradients(student.model, by_hand(student, PAIRS, kind, reference=reference)),
    )


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_logits_in_pieces_are_the_same(tiny, style):
    student = tiny(style)
    student.model.double()
    whole, batch = together(student, PAIRS, kind="orpo")
    pieces, _ = together(student, PAIRS, kind="orpo", head_elements=64)
    assert pieces(batch).contrast.item() == pytest.approx(whole(batch).contrast.item(), rel=1e-5)
    assert_same_gradients(
        gradients(student.model, pieces(batch).contrast),
        gradients(student.model, whole(batch).contrast),
    )


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_rationales_never_see_each_other_nor_padding(tiny, style):
    student = tiny(style)
    _, batch = together(student, TRIPLES[:1])
    before = hidden_states(student.model, batch)[0][batch.ends[:, 0]]
    question, own = TRIPLES[0].rationales[0].source, TRIPLES[0].rationales[0].target
    other = items_of(question, own, (30, 30, 30, 30, 30, 30, 30, 1), (31, 1))
    _, batch = together(
        student, [other, TRIPLES[1], items_of((5,) * 40, (6,) * 9, (7,) * 9, (8,) * 30)]
    )
    after = hidden_states(student.model, batch)[0][batch.ends[:, 0]]
    assert torch.allclose(before[0], after[0], atol=1e-5), "a reads neither p nor n nor padding"
    assert not torch.allclose(before[1], after[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["triplet", "dpo", "orpo", "unlikelihood"])
@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_each_loss_moves_wrong_and_right_apart(tiny, style, kind):
    student = tiny(style)
    loss, batch = together(student, TRIPLES if kind == "triplet" else PAIRS, kind=kind)
    # an untrained student finds every token unlikely, so that unlikelihood has little to push
    # against
    optimizer = torch.optim.SGD(
        student.model.parameters(), lr=1.0 if kind == "unlikelihood" else 0.02
    )
    first = loss(batch)
    for _ in range(15):
        optimizer.zero_grad()
        loss(batch).contrast.backward()
        optimizer.step()
    last = loss(batch)
    assert last.contrast < first.contrast and last.right - last.wrong > first.right - first.wrong


def test_a_margin_that_is_kept_costs_nothing(tiny):
    same = [items_of((5, 1), (6, 7, 1), (6, 7, 1), (9, 8, 1))]
    loss, batch = together(tiny("t5"), same, margin=0.0)
    sums = loss(batch)
    assert (
        sums.contrast == 0
        and sums.active == 0
        and sums.right.item() == pytest.approx(1.0, abs=1e-5)
    )


def test_prompt_tokens_of_a_causal_student_weigh_what_is_asked(tiny):
    student = tiny("llama")
    loss, batch = together(student, TRIPLES, prompt_weight=0.1)
    asked = sum(0.1 * (len(item.rationales[0].source) - 1) for item in TRIPLES)
    assert batch.weights.sum().item() == pytest.approx(asked + 4 + 3)
    alone = [alone_row(student, item) for item in TRIPLES]
    wanted = SummedLoss(student.model)(collate(alone, None, prompt_weight=0.1)).item()
    assert loss(batch).language.item() == pytest.approx(wanted, rel=1e-5)
    pairs, batch = together(student, PAIRS, prompt_weight=0.1, kind="orpo")
    assert pairs(batch).language.item() == pytest.approx(wanted, rel=1e-5)
