"""What cannot be trained on is refused before the first update, with what to type next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import TrainingError
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import TrainSettings

SETTINGS = TrainSettings(passes=2, update_examples=8)


def test_the_report_counts_tokens_and_shows_decoded_targets_with_their_end(tiny, direct, task):
    student = tiny("t5")
    train = direct(20)
    checked = preflight(student, train, direct(4, 1, "v"), SETTINGS, task)
    report = checked.report
    assert (report.examples, report.sequences, report.validation, report.updates) == (20, 20, 4, 5)
    assert report.source_tokens == sum(len(student.source_ids(task, e.question)) for e in train)
    assert report.target_tokens == sum(len(student.target_ids(task, e.target, True)) for e in train)
    assert report.planned_tokens == checked.plan.total_tokens
    assert 0 <= report.padding_share < 0.5
    ids, source, target = report.shown[0]
    assert ids == "p0/whole"
    assert source == train[0].question + "</s>"
    assert target == train[0].target + "</s>"
    text = "\n".join(report.lines())
    assert "training on 20 examples in 20 sequences" in text
    assert repr(target) in text


def test_a_causal_chain_is_one_sequence_whose_targets_are_shown_with_markers(tiny, chains, task):
    student = prepare(tiny("qwen"), task, path="uni")
    report = preflight(student, chains(3), [], SETTINGS, task).report
    assert (report.examples, report.sequences) == (12, 3)
    assert report.shown[0][0] == "c0/0, c0/1, c0/2, c0/3"
    assert (
        report.shown[0][2]
        == "Ann has 2 boxes,<as>so 2 x 4 = 10 pens.<es>She sold 5.<as>The answer is 3.<|im_end|>"
    )


def test_no_examples(tiny, task):
    with pytest.raises(
        TrainingError, match=r"no training examples: the set is empty\. Check the split sizes"
    ):
        preflight(tiny("t5"), [], [], SETTINGS, task)


def test_problems_on_both_sides_of_the_split(tiny, direct, task):
    with pytest.raises(
        TrainingError,
        match=r"4 problems are in training and validation alike \(first: p0\)\. Split by",
    ):
        preflight(tiny("t5"), direct(20), direct(4), SETTINGS, task)


def test_the_phrase_inside_a_whole_chain_is_no_early_stop(tiny, direct, task):
    examples = [replace(e, target="The answer is 4. " + e.target) for e in direct(8)]
    assert preflight(tiny("t5"), examples, [], SETTINGS, task).report.odd == ()


def test_sources_over_the_limit_are_refused_left_out_or_cut_at_their_front(tiny, direct, task):
    student = tiny("t5")
    examples = direct(8)
    examples[3] = replace(examples[3], question=examples[3].question * 3)
    limited = SETTINGS.changed(source_limit=25)
    dropped = preflight(student, examples, [], limited.changed(overlong="drop"), task).report
    assert (dropped.examples, [one.chain for one in dropped.odd]) == (7, ["p3"])
    assert (
        "chains left out: 1 (0 with a stop sign before their end, 1 over a limit)"
        in dropped.lines()
    )
    cut = preflight(student, examples, [], limited.changed(overlong="truncate"), task)
    assert (cut.report.examples, cut.report.truncated) == (8, 1)
    assert cut.train[3].source == tuple(student.source_ids(task, examples[3].question)[-25:])


def test_the_students_own_limit_holds_too_and_causal_sequences_count_whole(tiny, direct, task):
    student = tiny("llama")
    assert student.max_source_tokens == 256
    student.max_source_tokens = 60
    examples = direct(8)
    whole = [
        len(student.source_ids(task, e.question)) + len(student.target_ids(task, e.target))
        for e in examples
    ]
    assert max(whole) > 60 > max(len(student.source_ids(task, e.question)) for e in examples)
    with pytest.raises(TrainingError, match=r"sequence of \d+ tokens, the student reads 60"):
        preflight(student, examples, [], SETTINGS, task)


def test_targets_over_the_limit_are_never_cut(tiny, direct, task):
    limited = SETTINGS.changed(target_limit=10, overlong="truncate")
    with pytest.raises(
        TrainingError,
        match=r"target of \d+ tokens, the limit is 10 \(8 of 8 chains.*\)\. Targets are never cut.*raise target_limit",
    ):
        preflight(tiny("t5"), direct(8), [], limited, task)
    with pytest.raises(
        TrainingError, match=r"no training example is left: all 8 chains are left out, .*p0/whole"
    ):
        preflight(tiny("t5"), direct(8), [], limited.changed(overlong="drop"), task)


def test_text_that_the_tokenizer_garbles_is_refused_with_what_it_becomes(tiny, direct, task):
    examples = [replace(e, target=e.target + " {9}") for e in direct(8)]
    with pytest.raises(
        TrainingError,
        match=r"example p\d/whole: the tokenizer turns .* into .* 8 of 8 targets\. Use a",
    ):
        preflight(tiny("t5"), examples, [], SETTINGS, task)
    few = [*direct(40), replace(direct(1, 1, "x")[0], target="{9} The answer is 4.")]
    assert preflight(tiny("t5"), few, [], SETTINGS, task).report.garbled == 1


def test_chains_of_more_segments_than_the_student_may_write_are_counted(tiny, chains, task):
    report = preflight(tiny("t5"), chains(3), [], SETTINGS, replace(task, max_segments=3)).report
    line = "segments: at most 4 in a chain, the student may write 3; 3 chains have more"
    assert report.beyond == 3 and line in report.lines()
    student = prepare(tiny("t5"), task, path="uni", max_segments=4)
    report = preflight(student, chains(3), [], SETTINGS, replace(task, max_segments=3)).report
    assert (report.most_segments, report.segment_limit, report.beyond) == (4, 4, 0)


def test_targets_that_generation_would_cut_are_counted(tiny, direct, chains, task):
    student = tiny("t5")
    lengths = [len(student.target_ids(task, e.target, True)) for e in direct(20)]
    short = replace(task, max_chain_tokens=max(lengths) - 1)
    assert preflight(student, direct(20), [], SETTINGS, task).report.out_of_reach == 0
    report = preflight(student, direct(20), [], SETTINGS, short).report
    assert (
        report.out_of_reach == lengths.count(max(lengths))
        and "longer than the student may write" in report.lines()[3]
    )
    segments = preflight(
        student, chains(3), [], SETTINGS, replace(task, max_segment_tokens=1)
    ).report
    assert segments.out_of_reach == len([e for e in chains(3) if e.target])


def test_empty_targets_of_an_es_model_are_intended_and_counted(tiny, chains, task):
    examples = chains(4, "AS")
    report = preflight(tiny("t5"), examples, [], SETTINGS, task).report
    assert (report.examples, report.empty_targets) == (16, 4)


def test_a_stop_token_of_a_task_without_closing_is_in_the_target(tiny, direct):
    task = get_task("pet")
    student = prepare(tiny("t5"), task, path="direct")
    report = preflight(student, direct(8), [], SETTINGS, task).report
    assert report.shown[0][2].endswith("<STOP></s>")
