"""Whose turn it is, what is asked, and what a reply adds: paths on scripted replies."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.generation.draft import ChainDraft
from smallsteps.generation.generator import Decoding, Reply
from smallsteps.generation.paths import (
    MAX_CHAINS_PER_REPLY,
    Path,
    PathOptions,
    SegmentPath,
    SegmentTurn,
    SolveSettings,
    TurnPath,
    WholePath,
    open_segment,
    path_of,
)
from smallsteps.records import Kind, Problem
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import STOP_TOKEN, Task
from tiny_solving import Tiny, a_task, problems

TASK = a_task()


def options(task: Task = TASK, told: list[Any] | None = None, **settings: Any) -> PathOptions:
    tell = (lambda *_: None) if told is None else (lambda *segment: told.append(segment))
    return PathOptions(task, SolveSettings(**settings), Decoding(), tell)


def draft(question: str = "How many pens") -> ChainDraft:
    return ChainDraft(Problem("p", question), 0)


def reply(turn: SegmentTurn, student: Student, ids: list[int], finished: str = "end") -> Reply:
    tokens = len(ids) + (finished == "end")
    return Reply(turn.request.id, 0, tuple(ids), student.text(ids), finished, tokens)  # type: ignore[arg-type]


def pair(tiny: Tiny, style: str) -> DualStudent:
    es = prepare(tiny(style, seed=1), TASK, path="dual", role="ES")
    as_ = prepare(tiny(style, seed=2), TASK, path="dual", role="AS")
    assert es.drive is not None
    return DualStudent(es, as_, es.drive)


def test_a_student_gets_the_path_that_it_was_trained_for(tiny: Tiny) -> None:
    def kind(student: Student | DualStudent) -> type[Path]:
        return type(path_of(student, options()))

    assert kind(tiny("t5")) is kind(prepare(tiny("t5"), TASK, path="direct")) is WholePath
    assert kind(prepare(tiny("t5"), TASK, path="uni")) is SegmentPath
    assert kind(prepare(tiny("llama"), TASK, path="uni")) is WholePath
    assert kind(pair(tiny, "t5")) is SegmentPath
    assert kind(pair(tiny, "llama")) is TurnPath


def test_each_segment_is_asked_with_all_segments_before_it(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="uni")
    path, chain = SegmentPath({"ES": student}, options()), draft()
    turn = path.first(chain)
    assert turn.request.prompt == student.source_ids(TASK, "How many pens")
    following = path.following(chain, reply(turn, student, student.encode("so 12")))
    assert following is not None and following.writer == "ES"
    prefix = [("ES", "so 12")]
    assert following.request.prompt == student.source_ids(TASK, "How many pens", prefix)  # type: ignore[arg-type]
    assert chain.segments == [(None, "so 12")]


def test_the_two_students_of_a_pair_take_turns_and_their_kinds_are_noted(tiny: Tiny) -> None:
    dual, chain = pair(tiny, "t5"), draft()
    path = path_of(dual, options())
    turn = path.first(chain)
    writers = [turn.writer]
    for _ in range(2):
        following = path.following(chain, reply(turn, dual.es, dual.es.encode("so 12")))
        assert following is not None
        turn = following
        writers.append(turn.writer)
    assert writers == ["ES", "AS", "ES"]
    assert [kind for kind, _ in chain.segments] == ["ES", "AS"]


def test_the_stop_token_ends_a_chain_and_is_told_with_its_segment(tiny: Tiny) -> None:
    task = a_task(closing=None, closing_pattern=None)
    student = prepare(tiny("t5"), task, path="uni")
    assert student.stop_id is not None
    told: list[Any] = []
    path, chain = SegmentPath({"ES": student}, options(task, told)), draft()
    turn = path.following(chain, reply(path.first(chain), student, student.encode("so 12")))
    assert turn is not None
    last = [*student.encode("left"), student.stop_id]
    assert path.following(chain, reply(turn, student, last)) is None
    assert chain.stopped == "stop_sign"
    assert [segment[3] for segment in told] == ["so 12", f"left{STOP_TOKEN}"]


def test_a_prefix_that_outgrows_the_student_ends_the_chain(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="uni")
    path = SegmentPath({"ES": student}, options(source_limit=12))
    chain = draft()
    written = student.encode("so she had 12 boxes then each had pens")
    assert path.following(chain, reply(path.first(chain), student, written)) is None
    assert chain.stopped == "limit"
    with pytest.raises(DataError, match="p: needs"):
        path.first(draft("pens " * 20))


def test_a_whole_chain_stays_within_what_a_causal_student_reads(tiny: Tiny) -> None:
    task = a_task(max_chain_tokens=10_000)
    student = prepare(tiny("llama"), task, path="direct")
    turn = path_of(
        student, PathOptions(task, SolveSettings(), Decoding(max_new_tokens=9_000), lambda *_: None)
    )
    request = turn.first(draft()).request
    assert student.max_source_tokens is not None
    assert len(request.prompt) + (request.max_new_tokens or 0) == student.max_source_tokens


def test_a_causal_uni_path_reply_is_bounded_even_for_many_segments(tiny: Tiny) -> None:
    task = a_task(max_segments=1000, max_chain_tokens=2)
    student = prepare(tiny("llama"), task, path="uni")
    request = WholePath(student, options(task)).first(draft()).request
    assert request.max_new_tokens == MAX_CHAINS_PER_REPLY * 2


def test_markers_cut_a_causal_reply_into_segments(tiny: Tiny) -> None:
    student = prepare(tiny("llama"), TASK, path="uni")
    told: list[Any] = []
    path, chain = WholePath(student, options(TASK, told)), draft()
    turn = path.first(chain)
    ids = [*student.encode(" so"), student.marker("AS"), *student.encode(" left")]
    assert turn.request.stop is not None
    stops = [turn.request.stop(ids[: n + 1]) for n in range(len(ids))]
    assert not any(stops)
    assert path.following(chain, reply(turn, student, ids)) is None
    assert chain.segments == [("ES", "so"), ("AS", "left")] and chain.stopped == "end"
    assert [segment[2:] for segment in told] == chain.segments
    assert open_segment(ids, student) == ("AS", len(student.encode(" so")) + 1)


def test_a_causal_pair_hands_on_the_whole_text_and_each_half_its_own_cache(tiny: Tiny) -> None:
    class Cache:
        length = 5

    dual, chain = pair(tiny, "llama"), draft()
    path = path_of(dual, options())
    turn = path.first(chain)
    assert turn.request.keep_cache and turn.request.cache is None
    so, marker = dual.es.encode(" so"), dual.es.marker("AS")
    first = reply(turn, dual.es, [*so, marker], "stop")
    cache = Cache()
    second = path.following(chain, Reply(**{**vars(first), "cache": cache}))
    assert second is not None and second.writer == "AS" and second.request.cache is None
    assert list(second.request.prompt) == [*turn.request.prompt, *so, marker]
    third = path.following(chain, reply(second, dual.as_, [*so, dual.as_.marker("ES")], "stop"))
    assert third is not None and third.writer == "ES"
    assert third.request.cache is cache, "ES goes on from what it has read itself"


def test_a_pair_stops_where_the_other_half_has_no_room(tiny: Tiny) -> None:
    dual = pair(tiny, "llama")
    room = dual.es.max_source_tokens
    assert room is not None
    chain = draft()
    path = path_of(dual, options(a_task(max_segment_tokens=room)))
    turn = path.first(chain)
    written = [dual.es.encode(" so")[0]] * (room - len(turn.request.prompt))
    ids = [*written, dual.es.marker("AS")]
    assert path.following(chain, reply(turn, dual.es, ids, "stop")) is None
    assert chain.stopped == "limit"


def test_replies_of_other_chains_do_not_mix(tiny: Tiny) -> None:
    dual = pair(tiny, "llama")
    path = path_of(dual, options())
    drafts = [ChainDraft(problem, 0) for problem in problems(2)]
    turns = [path.first(chain) for chain in drafts]
    for chain, turn in reversed(list(zip(drafts, turns, strict=True))):
        following = path.following(chain, reply(turn, dual.es, [dual.es.marker("AS")], "stop"))
        assert following is not None
        assert list(following.request.prompt)[: len(turn.request.prompt)] == list(
            turn.request.prompt
        )


GIVEN: list[tuple[Kind | None, str]] = [("ES", "Ann has 3 boxes"), ("AS", "so 12")]


def test_a_whole_chain_begins_as_given_and_may_end_when_it_has_enough(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="direct")
    chain = draft()
    chain.begun, chain.enough = "Ann has.", lambda text: "boxes" in text
    path = WholePath(student, options())
    turn = path.first(chain)
    assert turn.request.prompt == student.source_ids(TASK, "How many pens")
    assert turn.request.given == student.encode("Ann has.")
    assert turn.request.stop is not None
    given, more = student.encode("Ann has."), student.encode("boxes so.")
    assert not turn.request.stop(given), "what is given never ends a chain"
    ids = [*given, *more]
    stops = [turn.request.stop(ids[:n]) for n in range(len(given) + 1, len(ids) + 1)]
    assert stops == [False] * (len(more) - 1) + [True], "asked only where a sub-sentence ends"
    assert path.following(chain, reply(turn, student, ids, "stop")) is None
    assert chain.stopped == "limit" and chain.text(TASK) == student.text(ids).strip()


def test_segments_follow_the_given_ones_and_only_the_first_begins_as_given(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="uni")
    path = SegmentPath({"ES": student}, options())
    chain = ChainDraft(Problem("p", "How many pens"), 0, list(GIVEN), begun="then")
    turn = path.first(chain)
    prefix = [(kind or "ES", text) for kind, text in GIVEN]
    assert turn.request.prompt == student.source_ids(TASK, "How many pens", prefix)
    assert turn.request.given == student.encode("then")
    following = path.following(chain, reply(turn, student, student.encode("then she")))
    assert following is not None and following.request.given == []


def test_a_pair_goes_on_with_the_half_whose_turn_it_is(tiny: Tiny) -> None:
    for style in ("t5", "llama"):
        dual = pair(tiny, style)
        chain = ChainDraft(Problem("p", "How many pens"), 0, list(GIVEN[:1]), begun="so")
        turn = path_of(dual, options()).first(chain)
        assert turn.writer == "AS" and turn.request.given == dual.as_.encode("so")
        if style == "llama":
            prefix: list[tuple[Kind, str]] = [("ES", "Ann has 3 boxes")]
            ids = dual.as_.source_ids(TASK, "How many pens", prefix, "AS")
            assert list(turn.request.prompt) == ids


def test_a_causal_uni_path_reply_goes_on_after_the_given_segments(tiny: Tiny) -> None:
    """The trap: a reply without a marker before it is not always of kind ES."""
    student = prepare(tiny("llama"), TASK, path="uni")
    path = WholePath(student, options())
    chain = ChainDraft(Problem("p", "How many pens"), 0, list(GIVEN[:1]), begun="so")
    turn = path.first(chain)
    prefix: list[tuple[Kind, str]] = [("ES", "Ann has 3 boxes")]
    assert turn.request.prompt == student.source_ids(TASK, "How many pens", prefix, "AS")
    assert turn.request.given == student.encode("so")
    ids = [*student.encode("so 12"), student.marker("ES"), *student.encode("left")]
    assert turn.request.stop is not None
    assert not any(turn.request.stop(ids[: n + 1]) for n in range(len(ids)))
    assert path.following(chain, reply(turn, student, ids)) is None
    assert chain.segments == [*prefix, ("AS", "so 12"), ("ES", "left")]
    alone = ChainDraft(Problem("p", "How many pens"), 0, list(GIVEN[:1]))
    turn = path.first(alone)
    assert path.following(alone, reply(turn, student, student.encode("so 12"))) is None
    assert alone.segments == [*prefix, ("AS", "so 12")]
