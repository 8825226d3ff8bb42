"""Contrasts in ids: what is drawn, what is left out, what each student reads."""

from __future__ import annotations

from smallsteps.students.tokens import prepare
from smallsteps.training.contrast import (
    Contrast,
    ContrastItem,
    EncodedRationale,
    anchor,
    encode_contrast,
    encode_rationale,
)
from smallsteps.training.encode import encode

SEGMENTS = (("ES", "Ann has 3 pens,"), ("AS", "so 3."), ("ES", "The answer is 3."))


def test_draws_are_repeatable_differ_over_updates_and_stay_within_the_first_few(tiny, task):
    written = [tuple(((None, f"{name} {n}"),) for n in range(20)) for name in ("yes", "no")]
    student = tiny("t5")
    readings = encode_contrast(student, task, Contrast("Why?", *written), None)
    drawn = [readings.draw(0, update, 3) for update in range(200)]
    assert drawn == [readings.draw(0, update, 3) for update in range(200)]
    assert {p for p, _ in drawn} == set(readings.positives) and len(readings.positives) == 10
    assert {n for _, n in drawn} == set(readings.negatives) and len(readings.negatives) == 4


def test_rationales_over_the_limit_are_no_part_of_it(tiny, task):
    contrast = Contrast(
        "Why?", (((None, "so"),), ((None, "so it is, " * 30),)), (((None, "no, " * 30),),)
    )
    readings = encode_contrast(tiny("t5"), task, contrast, 20)
    assert len(readings.positives) == 1 and not readings.usable


def test_an_encoder_decoder_is_compared_in_its_last_segment(tiny, task):
    student = prepare(tiny("t5"), task, path="uni")
    encoded = encode_rationale(student, task, "Why?", SEGMENTS)
    assert encoded.source == tuple(student.source_ids(task, "Why?", SEGMENTS[:-1]))
    assert student.text(encoded.target) == "The answer is 3."


def test_a_causal_student_is_compared_in_all_its_segments(tiny, task):
    student = prepare(tiny("llama"), task, path="uni")
    encoded = encode_rationale(student, task, "Why?", SEGMENTS)
    ids, is_target = student.chain_ids(task, "Why?", SEGMENTS)
    assert (*encoded.source, *encoded.target) == tuple(ids)
    assert len(encoded.target) == sum(is_target)


def test_the_anchor_is_the_rationale_that_a_row_trains(tiny, task, direct):
    examples = direct(1)
    for style in ("t5", "llama"):
        student = tiny(style)
        (row,) = encode(student, task, examples)
        parts = ((None, examples[0].target),)
        assert anchor(row) == encode_rationale(student, task, examples[0].question, parts)


def test_a_source_that_all_rationales_share_is_read_once():
    shared = [EncodedRationale((5, 1), (6, 1)), EncodedRationale((5, 1), (7, 8, 1))]
    assert ContrastItem(tuple(shared)).tokens == 2 + 2 + 3
    apart = [EncodedRationale((5, 1), (6, 1)), EncodedRationale((5, 9, 1), (7, 8, 1))]
    assert ContrastItem(tuple(apart)).tokens == 2 + 3 + 2 + 3
