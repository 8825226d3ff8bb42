"""What each arm is trained on: Section 3 of the method page, row by row."""

from __future__ import annotations

import pytest

from smallsteps.errors import InternalError
from smallsteps.records import Chain, Example, Segment
from smallsteps.segments.examples import build_examples, segment_limit
from smallsteps.segments.label import segment_chains
from smallsteps.tasks.base import Task

from .conftest import PIECES, QUESTION

TEXTS = [piece.strip() for piece in PIECES]


def rows(examples: list[Example]) -> list[tuple[str | None, list[str], str, str | None, bool]]:
    return [(e.kind, [text for _, text in e.prefix], e.target, e.cue, e.last) for e in examples]


@pytest.fixture
def closed(chain: Chain, task: Task) -> list[Segment]:
    return segment_chains([chain], lambda c, p: [0.2, 0.9, 0.3, 0.8, 0.1], task=task)[0]


@pytest.fixture
def opening(chain: Chain, task: Task) -> list[Segment]:
    """AS = S_1 S_2, ES = S_3 S_4 S_5."""
    return segment_chains([chain], lambda c, p: [0.9, 0.8, 0.3, 0.2, 0.1], task=task)[0]


def test_direct_learns_the_whole_chain(chain: Chain, task: Task) -> None:
    (example,) = build_examples([chain], [], task, "direct")
    assert (example.question, example.prefix, example.target) == (QUESTION, (), "".join(PIECES))
    assert (example.kind, example.cue, example.last, example.problem_id) == (
        None,
        None,
        True,
        "ann",
    )


def test_the_worked_chain_row_by_row(chain: Chain, task: Task, closed: list[Segment]) -> None:
    expected = [
        ("ES", [], TEXTS[0], None, False),
        ("AS", TEXTS[:1], TEXTS[1], None, False),
        ("ES", TEXTS[:2], TEXTS[2], None, False),
        ("AS", TEXTS[:3], TEXTS[3], None, False),
        ("ES", TEXTS[:4], TEXTS[4], None, True),
    ]
    assert rows(build_examples([chain], [closed], task, "uni")) == expected
    assert rows(build_examples([chain], [closed], task, "dual")) == expected
    cued = rows(build_examples([chain], [closed], task, "uni", cue=True))
    assert [cue for *_, cue, _ in cued] == ["ES", "AS", "ES", "AS", "ES"]


def test_a_chain_that_opens_with_as_teaches_silence_only_where_kinds_alternate(
    chain: Chain, task: Task, opening: list[Segment]
) -> None:
    first, second = "".join(PIECES[:2]).strip(), "".join(PIECES[2:]).strip()
    uni = build_examples([chain], [opening], task, "uni")
    assert rows(uni) == [("AS", [], first, None, False), ("ES", [first], second, None, True)]
    silent = [
        ("ES", [], "", None, False),
        ("AS", [""], first, None, False),
        ("ES", ["", first], second, None, True),
    ]
    assert rows(build_examples([chain], [opening], task, "dual")) == silent
    assert rows(build_examples([chain], [opening], task, "uni", causal=True)) == silent
    cued = rows(build_examples([chain], [opening], task, "uni", cue=True))
    assert cued == [(kind, prefix, target, kind, last) for kind, prefix, target, _, last in silent]


def test_ids_are_unique_and_name_the_segment(
    chain: Chain, task: Task, opening: list[Segment]
) -> None:
    ids = [e.id for e in build_examples([chain], [opening], task, "dual")]
    assert ids == ["ann/0/empty", "ann/0/0", "ann/0/1"]


def test_segments_of_another_chain_are_a_bug(
    chain: Chain, task: Task, closed: list[Segment]
) -> None:
    with pytest.raises(InternalError, match="ann/0: its segments joined are not the rationale"):
        build_examples([chain], [closed[:-1]], task, "uni")


@pytest.mark.parametrize(("longest", "limit"), [(1, 3), (4, 6), (8, 10), (17, 21), (114, 142)])
def test_a_student_may_write_its_longest_chain_and_a_quarter_more_at_least_two(
    longest: int, limit: int
) -> None:
    prefix = tuple(("ES", "text") for _ in range(longest - 1))
    examples = [
        Example("c/0", "c", "?", (), "text", kind="ES"),
        Example("c/n", "c", "?", prefix, "end", kind="AS"),
    ]
    assert segment_limit(examples) == limit


def test_an_empty_first_segment_counts_as_one_that_is_written(
    closed: list[Segment], chain: Chain, task: Task
) -> None:
    opens_as = segment_chains([chain], lambda c, p: [0.9, 0.1, 0.8, 0.1, 0.9], task=task)
    plain = build_examples([chain], opens_as, task, "uni")
    turns = build_examples([chain], opens_as, task, "dual")
    assert segment_limit(turns) == segment_limit(plain) + 1
