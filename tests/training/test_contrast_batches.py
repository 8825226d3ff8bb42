"""Items as tensors, by hand: places, labels, owners, and what each token may see."""

from __future__ import annotations

import torch

from smallsteps.training.contrast import ContrastItem, EncodedRationale
from smallsteps.training.contrast_batches import collate_pairs, collate_sequences


def item(source, *targets):
    return ContrastItem(tuple(EncodedRationale(source, target) for target in targets))


TRIPLE = item((5, 6), (7, 1), (8, 9, 1), (10, 1))


def test_a_causal_question_predicts_the_first_token_of_the_anchor():
    batch = collate_sequences([TRIPLE])
    assert batch.inputs[0].tolist() == [[5, 6, 7, 1, 8, 9, 1, 10, 1]]
    assert batch.labels.tolist() == [7, 1] and batch.places.tolist() == [1, 2]
    assert batch.ends.tolist() == [[3], [6], [8]]
    assert batch.owner.tolist() == [-1, -1, 0, 0, 1, 1, 1, 2, 2]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 2, 3, 4, 2, 3]]


def test_causal_rationales_see_the_question_and_themselves():
    seen = collate_sequences([TRIPLE]).mask[0][0, 0].int().tolist()
    assert seen[3] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert seen[5] == [1, 1, 0, 0, 1, 1, 0, 0, 0]
    assert seen[8] == [1, 1, 0, 0, 0, 0, 0, 1, 1]


def test_in_pairs_the_question_predicts_the_first_token_of_both():
    batch = collate_sequences([item((5, 6), (7, 1), (10, 1))], prompt_weight=0.1)
    assert batch.labels.tolist() == [6, 7, 1, 10, 1]
    assert batch.places.tolist() == [0, 1, 2, 1, 4]
    assert batch.predicted.tolist() == [-1, 0, 0, 1, 1]
    assert torch.allclose(batch.weights, torch.tensor([0.1, 1, 1, 0, 0]))


def test_an_encoder_reads_a_shared_source_once():
    batch = collate_pairs([TRIPLE, item((5,), (7, 1), (8, 1), (9, 1))], start_id=0)
    assert batch.source.tolist() == [[5, 6], [5, 0]]
    rows = sorted(row for group in batch.source_rows for row in group.tolist())
    assert rows == [0, 0, 0, 1, 1, 1]


def test_labels_of_an_encoder_decoder_are_predicted_from_the_place_before():
    batch = collate_pairs([TRIPLE], start_id=0)
    flat = torch.cat([inputs.flatten() for inputs in batch.inputs])
    assert batch.labels.tolist() == [7, 1], "only the anchor is learnt"
    assert flat[batch.places].tolist() == [0, 7]
    assert flat[batch.ends].flatten().tolist() == [1, 1, 1]
    for number, rationale in enumerate(TRIPLE.rationales):
        assert flat[batch.owner == number].tolist() == list(rationale.target)


def test_in_one_pass_rationales_of_all_lengths_go_through_the_decoder_at_once():
    items = [TRIPLE, item((5,), (7, 1), (*range(2, 90), 1), (9, 1))]
    apart, together = collate_pairs(items, 0), collate_pairs(items, 0, one_pass=True)
    assert len(apart.inputs) > 1 and [len(inputs) for inputs in together.inputs] == [6]
    for batch in (apart, together):
        flat = torch.cat([inputs.flatten() for inputs in batch.inputs])
        assert flat[batch.ends].flatten().tolist() == [1] * 6
    assert apart.labels.tolist() == together.labels.tolist()
