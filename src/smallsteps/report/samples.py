"""Which rows the page shows where there are too many to show all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def some_of_each_kind(rows: Sequence[Row], kind: Callable[[Row], Hashable], most: int) -> list[Row]:
    """At most `most` rows, as many of each kind, in the order in which the kinds first come: rare
    kinds are seen beside frequent ones.

    >>> rows = [{"n": n, "even": n % 2 == 0} for n in (1, 2, 4, 6, 8)]
    >>> [row["n"] for row in some_of_each_kind(rows, lambda row: row["even"], most=4)]
    [1, 2, 4]
    """
    kinds: dict[Hashable, list[Row]] = {}
    for row in rows:
        kinds.setdefault(kind(row), []).append(row)
    each = max(1, most // max(1, len(kinds)))
    return [row for rows_of_kind in kinds.values() for row in rows_of_kind[:each]][:most]


def evenly(places: Sequence[int], count: int) -> list[int]:
    """At most `count` of the places, evenly spread, the last one among them.

    >>> evenly(range(10), 3)
    [2, 5, 9]
    """
    if len(places) <= count:
        return list(places)
    return [places[(n + 1) * len(places) // count - 1] for n in range(count)]
