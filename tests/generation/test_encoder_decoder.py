"""Batches of encoder-decoders: slots that fill and empty, cohorts, and groups that are encoded."""

from __future__ import annotations

import pytest

from smallsteps.generation import encoder_decoder
from smallsteps.generation.encoder_decoder import (
    CohortSession,
    T5Session,
    WaitingRows,
    encoding_groups,
)
from smallsteps.generation.generator import Decoding, EngineSettings, Reply, Request, run_session
from smallsteps.generation.local import LocalEngine
from smallsteps.generation.sampling import ReplyRow
from smallsteps.students.student import Student
from tiny_solving import Tiny, a_task, problems

TASK = a_task()


def row(length: int, name: str = "a") -> ReplyRow:
    return ReplyRow(Request(name, []), 0, (5,) * length, 10, frozenset({1}), 0)


def requests(student: Student, limits: list[int]) -> list[Request]:
    return [
        Request(p.id, student.source_ids(TASK, p.question), max_new_tokens=limit)
        for p, limit in zip(problems(len(limits)), limits, strict=True)
    ]


def written(student: Student, batch_size: int, limits: list[int]) -> dict[str, Reply]:
    engine = LocalEngine(student, EngineSettings(batch_size=batch_size))
    replies = run_session(engine.session(Decoding()), requests(student, limits))
    return {reply.id: reply for reply in replies}


def test_the_longest_source_enters_first_and_equals_in_order_of_arrival() -> None:
    waiting = WaitingRows()
    for length, name in ((3, "a"), (9, "b"), (3, "c"), (5, "d")):
        waiting.add(row(length, name))
    assert [r.request.id for r in waiting.take(3)] == ["b", "d", "a"]
    assert [r.request.id for r in waiting.take(9)] == ["c"] and len(waiting) == 0


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([], []),
        ([8], [[8]]),
        ([8, 5, 4], [[8, 5, 4]]),
        ([8, 4, 3], [[8, 4], [3]]),
        ([8, 3, 2, 1], [[8], [3, 2], [1]]),
    ],
)
def test_no_group_pads_a_row_to_more_than_twice_its_length(
    lengths: list[int], groups: list[list[int]]
) -> None:
    cut = encoding_groups([row(length) for length in lengths])
    assert [[len(r.source) for r in group] for group in cut] == groups


def test_no_group_has_more_than_the_limit_of_padded_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_decoder, "ENCODE_TOKENS", 24)
    cut = encoding_groups([row(length) for length in (30, 8, 8, 7, 6)])
    assert [[len(r.source) for r in group] for group in cut] == [[30], [8, 8, 7], [6]]


def test_each_architecture_has_its_session(tiny: Tiny) -> None:
    assert isinstance(LocalEngine(tiny("t5")).session(Decoding()), T5Session)
    assert isinstance(LocalEngine(tiny("bart")).session(Decoding()), CohortSession)


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2"])
def test_replies_do_not_depend_on_who_else_is_in_the_batch(tiny: Tiny, style: str) -> None:
    limits = [1, 30, 2, 12, 25, 3, 18]
    student = tiny(style, talkative=2.0)
    alone = written(student, 1, limits)
    for batch_size in (2, 3, 7):
        assert written(student, batch_size, limits) == alone
    assert len({reply.tokens for reply in alone.values()}) > 3, "rows must come and go"


def test_slots_that_stay_empty_are_dropped_at_the_end(tiny: Tiny) -> None:
    student = tiny("t5", talkative=0.0)
    session = LocalEngine(student, EngineSettings(batch_size=4)).session(Decoding())
    assert isinstance(session, T5Session)
    for request in requests(student, [3, 3, 3, 40]):
        session.submit(request)
    sizes = set()
    while not session.idle:
        session.step()
        sizes.add(session.slots)
    assert sizes == {4, 1}


def test_a_cohort_waits_until_the_one_before_it_is_done(tiny: Tiny) -> None:
    student = tiny("bart", talkative=0.0)
    session = LocalEngine(student, EngineSettings(batch_size=2)).session(Decoding())
    assert isinstance(session, CohortSession)
    for request in requests(student, [2, 5, 2]):
        session.submit(request)
    under_way = []
    while not session.idle:
        session.step()
        under_way.append(len(session.rows))
    assert max(under_way) == 2 and len(session.waiting) == 0
    assert under_way[under_way.index(0) :] != [0], "a second cohort starts after the first"


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2"])
def test_a_step_without_requests_writes_nothing(tiny: Tiny, style: str) -> None:
    session = LocalEngine(tiny(style)).session(Decoding())
    assert session.idle and session.step() == []


def test_what_is_submitted_between_two_steps_joins_the_next_one_beside_a_single_row(
    tiny: Tiny,
) -> None:
    student = tiny("t5", talkative=0.0)  # never ends by itself
    alone = written(student, 1, [20, 12, 9])
    session = LocalEngine(student, EngineSettings(batch_size=3)).session(Decoding())
    assert isinstance(session, T5Session)
    first, *later = requests(student, [20, 12, 9])
    session.submit(first)
    session.step()
    for request in later:
        session.submit(request)
    session.step()
    assert len(session.active) == 3
    replies = []
    while not session.idle:
        replies += session.step()
    assert {reply.id: reply.ids for reply in replies} == {id: r.ids for id, r in alone.items()}


def test_the_longest_reply_that_is_allowed_costs_no_memory_until_it_is_written(tiny: Tiny) -> None:
    student = tiny("t5", talkative=0.0)
    session = LocalEngine(student).session(Decoding())
    assert isinstance(session, T5Session)
    for request in requests(student, [10_000_000, 10_000_000]):
        session.submit(request)
    for _ in range(3):
        session.step()
    assert session.runner.past.nbytes < 1_000_000
