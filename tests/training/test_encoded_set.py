"""A set of examples is encoded in one pass, which refuses what would teach nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps import streams
from smallsteps.errors import TrainingError
from smallsteps.streams import Stream
from smallsteps.students.tokens import prepare
from smallsteps.training.batches import Encoded
from smallsteps.training.encoded_set import _refuse_bad_mask, encoded_set
from smallsteps.training.settings import TrainSettings


def test_masks_that_would_teach_nothing_or_lose_the_end(tiny):
    student = tiny("t5")
    for row, message in (
        (
            Encoded((5,), (6, 1), (False, False), ("a",)),
            "example a: the loss counts none of its 2 target tokens",
        ),
        (
            Encoded((5,), (6, 1), (True, False), ("a",)),
            "example a: the end of its target is not in the loss",
        ),
        (
            Encoded((5,), (6, 7), (True, True), ("a",)),
            r"ends in id 7, not in end-of-sequence \(1\), so the student would",
        ),
    ):
        with pytest.raises(TrainingError, match=message):
            _refuse_bad_mask(student, row)


@pytest.mark.parametrize(("name", "path"), [("t5", "uni"), ("qwen", "uni")])
def test_a_stream_is_encoded_like_a_list(tiny, chains, task, monkeypatch, name, path):
    student = prepare(tiny(name), task, path=path)
    examples = [*chains(4), *chains(3, "AS", "d")]
    examples[5] = replace(examples[5], target="The answer is 4.")  # c1 goes on after its end
    settings = TrainSettings(overlong="truncate", source_limit=16)
    listed = encoded_set(student, examples, settings, task)
    monkeypatch.setattr(streams, "KEPT", 2)
    streamed = encoded_set(student, Stream(lambda: iter(examples)), settings, task)
    assert list(streamed.rows) == list(listed.rows) and len(listed.rows) > 5
    assert (streamed.truncated, streamed.empty) == (listed.truncated, listed.empty)
    assert streamed.targets.examples == listed.targets.examples == len(examples) - 4
    assert [odd.chain for odd in streamed.odd] == [odd.chain for odd in listed.odd] == ["c1"]
    assert streamed.chains == listed.chains == 7
    assert listed.truncated > 0 and "c1/0" not in {
        id for row in listed.rows for id in row.example_ids
    }


def test_few_examples_of_a_stream_are_put_together_like_a_list(tiny, chains, task):
    student = prepare(tiny("qwen"), task, path="uni")
    turned = [example for turn in range(4) for example in chains(3)[turn::4]]
    streamed = encoded_set(student, Stream(lambda: iter(turned)), TrainSettings(), task)
    assert [len(row.example_ids) for row in streamed.rows] == [4, 4, 4]
