"""A sample of rows shows every kind, never more than was asked for, and the last place."""

from __future__ import annotations

import pytest

from smallsteps.report.samples import evenly, some_of_each_kind


def numbered(*kinds: str) -> list[dict[str, object]]:
    return [{"n": n, "kind": kind} for n, kind in enumerate(kinds)]


def numbers(rows: list[dict[str, object]], most: int) -> list[object]:
    return [row["n"] for row in some_of_each_kind(rows, lambda row: row["kind"], most)]


def test_a_rare_kind_is_not_hidden_by_a_frequent_one() -> None:
    assert numbers(numbered(*"aaaaaaaab"), most=4) == [0, 1, 8]


def test_more_kinds_than_rows_show_one_of_each_as_far_as_there_is_room() -> None:
    assert numbers(numbered(*"abcdef"), most=4) == [0, 1, 2, 3]


def test_no_rows_give_none() -> None:
    assert numbers([], most=4) == []


@pytest.mark.parametrize(("length", "count"), [(10, 3), (10, 10), (10, 20), (7, 2), (0, 3)])
def test_places_are_distinct_bounded_and_end_with_the_last(length: int, count: int) -> None:
    places = evenly(range(length), count)
    assert len(places) == len(set(places)) == min(length, count)
    assert not length or places[-1] == length - 1
