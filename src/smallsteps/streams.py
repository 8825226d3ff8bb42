"""Records that are read again and again, but need not be in memory.

A stream of at most `KEPT` records keeps them from its first pass on. A larger one makes them anew
at each pass, from what lies on the disk or in a compact form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import chain as chained
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

KEPT = 20_000
"""Maximum number of records that are kept in memory: about 100 MB of chains or examples."""


class Stream(Collection[T_co]):
    """The records that `make` gives. Each call of it must give equal ones."""

    def __init__(self, make: Callable[[], Iterable[T_co]]) -> None:
        self._make = make
        self._kept: list[T_co] | None = None
        self._count: int | None = None

    def __iter__(self) -> Iterator[T_co]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[T_co] = []
        count = 0
        for record in self._make():
            count += 1
            if count <= KEPT:
                kept.append(record)
            elif kept:
                kept.clear()
            yield record
        self._count = count
        self._kept = kept if count <= KEPT else None

    def __len__(self) -> int:
        if self._count is None:
            for _ in self:
                pass
        assert self._count is not None, "set at the end of a pass"
        return self._count

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __contains__(self, record: object) -> bool:
        return any(record == other for other in self)


def hash64(text: str) -> int:
    """A hash of 64 bits, the same in every process: what stands for a text in an index. Two of a
    million different texts have the same with probability 3e-8."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def joined(*parts: Iterable[T]) -> Stream[T]:
    """The records of all parts, one part after the other."""
    return Stream(lambda: chained.from_iterable(parts))


def blocks(records: Iterable[T], size: int | None = None) -> Iterator[list[T]]:
    """The records in lists of `size` (None: `KEPT`), the last one shorter.

    >>> list(blocks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(records)
    while block := list(islice(rest, KEPT if size is None else size)):
        yield block
