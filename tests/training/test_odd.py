"""Odd chains are left out whole and counted while they are few; many are refused with what to type
next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import TrainingError
from smallsteps.training.odd import chain_of, odd_chains
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import TrainSettings

SETTINGS = TrainSettings(passes=2, update_examples=8)


def early(examples, place):
    """The same examples, of which the one at `place` says the answer before its chain ends."""
    changed = replace(examples[place], target="However, the answer is 40.")
    return [*examples[:place], changed, *examples[place + 1 :]]


def test_a_handful_of_chains_with_an_early_stop_sign_is_left_out_whole_and_shown(
    tiny, chains, task
):
    report = preflight(tiny("t5"), early(chains(50), 1), [], SETTINGS, task).report
    assert report.examples == 4 * 49, "a chain with a hole in it would teach a jump"
    assert [(one.chain, one.setting) for one in report.odd] == [("c0", "early_stop")]
    lines = "\n".join(report.lines())
    assert "chains left out: 1 (1 with a stop sign before their end, 0 over a limit)" in lines
    assert "example c0/1: the target carries the stop sign of task numbers" in lines


def test_more_than_two_in_a_hundred_are_refused(tiny, chains, task):
    with pytest.raises(
        TrainingError,
        match=r"example c0/1: the target carries the stop sign .*'However, the answer is 40\.' "
        r"\(1 of 49 chains are like this, more than the 2 % .*early_stop=drop",
    ):
        preflight(tiny("t5"), early(chains(49), 1), [], SETTINGS, task)
    dropped = SETTINGS.changed(early_stop="drop")
    assert preflight(tiny("t5"), early(chains(2), 1), [], dropped, task).report.examples == 4
    with pytest.raises(TrainingError, match=r"example c0/1: .*\(1 of 50 chains are like this\)"):
        preflight(tiny("t5"), early(chains(50), 1), [], SETTINGS.changed(early_stop="error"), task)


def test_chains_of_validation_count_and_are_left_out_too(tiny, chains, task):
    train, validation = chains(45), early(chains(5, name="v"), 1)
    report = preflight(tiny("t5"), train, validation, SETTINGS, task).report
    assert (report.examples, report.validation, report.validation_left_out) == (180, 16, 4)


def test_a_few_overlong_chains_are_left_out_and_many_are_refused(tiny, direct, task):
    student, limited = tiny("t5"), SETTINGS.changed(source_limit=25)
    examples = direct(60)
    examples[3] = replace(examples[3], question=examples[3].question * 3)
    report = preflight(student, examples, [], limited, task).report
    assert report.examples == 59 and [one.chain for one in report.odd] == ["p3"]
    with pytest.raises(
        TrainingError,
        match=r"example p3/whole: source of \d+ tokens, the student reads 25 \(1 of 8 chains are like "
        r"this, more than the 2 % .*\)\. Raise source_limit .*overlong=drop",
    ):
        preflight(student, examples[:8], [], limited, task)


def test_chains_are_told_apart_by_the_ids_that_examples_are_given(tiny, chains, direct, task):
    assert chain_of(chains(1, "AS")[0]) == "c0" and chain_of(direct(1)[0]) == "p0"
    assert chain_of(replace(direct(1)[0], id="gsm8k/7")) == "gsm8k/7"
    assert [one.chain for one in odd_chains(tiny("t5"), early(chains(3), 5), task, SETTINGS)] == [
        "c1"
    ]
