"""Replies that run in a circle: what counts as one, and how each writer ends it."""

from __future__ import annotations

import pytest

from smallsteps.generation import causal, encoder_decoder
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.repetition import LONGEST_PERIOD, REPEATED_TOKENS, repeats
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task

PROBLEM = Problem("p", "How many pens has Ann?", answer="7")


def a_task(**limits: int) -> Task:
    return Task(
        name="tiny",
        render=lambda problem: problem.question,
        extract=lambda text, lenient, problem: "7" if "7" in text else None,
        same=lambda a, b: a == b,
        closing_pattern="7",
        **limits,
    )


@pytest.mark.parametrize("period", [1, 2, 5, 21, 22, 40, LONGEST_PERIOD])
def test_a_block_counts_once_it_was_written_three_times_over_at_least_64_tokens(period):
    block = list(range(period))
    enough = max(REPEATED_TOKENS, 3 * period)
    looped = (block * enough)[:enough]
    assert repeats([7000, *looped])
    assert not repeats(looped[1:])


def test_a_longer_block_and_a_block_that_changes_are_no_loop():
    assert not repeats(list(range(LONGEST_PERIOD + 1)) * 5)
    assert not repeats([token for step in range(40) for token in (1, 2, 3, 100 + step)])


def test_a_reply_that_left_its_loop_is_no_loop():
    assert not repeats([1, 2, 3] * 40 + [9])


def _circling(monkeypatch, words):
    """Every row writes `words` over and over, whatever the model says."""

    def choose_tokens(logits, rows, decoding):
        return [words[len(row.written) % len(words)] for row in rows], None

    monkeypatch.setattr(causal, "choose_tokens", choose_tokens)
    monkeypatch.setattr(encoder_decoder, "choose_tokens", choose_tokens)


@pytest.mark.parametrize("style", ["t5", "bart", "llama"])
def test_a_whole_chain_in_a_circle_ends_early_only_where_asked(tiny, monkeypatch, style):
    student = tiny(style)
    task = a_task(max_chain_tokens=100)
    words = student.encode("Ann has boxes")
    _circling(monkeypatch, words)
    chain = {
        on: next(iter(solve(student, [PROBLEM], task, SolveSettings(stop_repetition=on), None)))
        for on in (False, True)
    }
    assert (chain[False].stopped, chain[True].stopped) == ("limit", "repetition")
    assert REPEATED_TOKENS <= chain[True].tokens <= REPEATED_TOKENS + 8 + len(words)
    assert chain[False].text.startswith(chain[True].text)


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_a_chain_that_writes_the_same_segment_again_and_again_ends(tiny, monkeypatch, style):
    task = a_task(max_segments=60, max_segment_tokens=12)
    student = prepare(tiny(style), task, path="uni")
    end = student.marker("ES") if style == "llama" else student.end_id
    _circling(monkeypatch, [*student.encode("Ann has boxes"), end])
    (plain,) = solve(student, [PROBLEM], task, SolveSettings(), None)
    (ended,) = solve(student, [PROBLEM], task, SolveSettings(stop_repetition=True), None)
    assert (plain.stopped, ended.stopped) == ("limit", "repetition")
    assert ended.tokens < plain.tokens


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_halves_that_repeat_each_other_end(tiny, monkeypatch, style):
    task = a_task(max_segments=60, max_segment_tokens=12)
    halves = [
        prepare(tiny(style, seed), task, path="dual", role=role)
        for seed, role in enumerate(("ES", "AS"))
    ]
    dual = DualStudent(*halves, Drive(task=task.name, path="dual"))
    end = halves[0].marker("AS") if style == "llama" else halves[0].end_id
    _circling(monkeypatch, [*halves[0].encode("Ann has boxes"), end])
    (plain,) = solve(dual, [PROBLEM], task, SolveSettings(), None)
    (ended,) = solve(dual, [PROBLEM], task, SolveSettings(stop_repetition=True), None)
    assert (plain.stopped, ended.stopped) == ("limit", "repetition")
    assert ended.tokens < plain.tokens


def test_models_that_smallsteps_did_not_train_are_ended_and_read_leniently_by_default(tiny):
    from smallsteps.generation.solve import StudentWithTask

    untrained = StudentWithTask(tiny("t5"), a_task()).settings()
    assert untrained.stop_repetition and untrained.lenient
    trained = prepare(tiny("t5"), a_task(), path="direct")
    settings = StudentWithTask(trained, a_task()).settings()
    assert not settings.stop_repetition and not settings.lenient
