"""Rollouts as rows of a batch."""

from __future__ import annotations

import pytest

from smallsteps.training.rollouts import Rollout, batch_of, encode_rollout, encode_written

ROLLOUT = Rollout("p", 0, (5, 6, 1), (9, 10, 1), "x", True)


def test_an_encoder_decoder_reads_the_source_and_learns_every_written_token(tiny):
    row = encode_rollout(ROLLOUT, tiny("t5"))
    assert (row.source, row.target, row.counted) == ((5, 6, 1), (9, 10, 1), (True,) * 3)


def test_a_causal_student_learns_what_it_wrote_and_not_what_it_read(tiny):
    row = encode_rollout(ROLLOUT, tiny("llama"))
    assert (row.source, row.target) == ((), (5, 6, 1, 9, 10, 1))
    assert row.counted == (False,) * 3 + (True,) * 3


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_labels_of_a_batch_come_row_after_row(tiny, style):
    student = tiny(style)
    rows = [
        encode_written(source, target, student)
        for source, target in (((5,), (7, 8)), ((6, 6), (9,)))
    ]
    assert batch_of(rows, student).labels.tolist() == [7, 8, 9]
