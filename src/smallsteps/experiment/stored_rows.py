"""The rows of a file that a stage wrote, as a sequence that stays on the disk.

In memory are 8 bytes a row. Each use of a row reads it anew: two uses give equal records, never the
same object."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

from smallsteps import streams
from smallsteps.records import Chain, Problem, Rationale

R = TypeVar("R", covariant=True)
T = TypeVar("T")


class StoredRows(Sequence[R]):
    """The records of a JSON Lines file that nobody changes."""

    def __init__(
        self, path: Path, record_of: Callable[[Any], R], starts: array[int] | None = None
    ) -> None:
        """starts: where the rows start that belong to the sequence, in bytes; None: all rows."""
        self.path = path
        self._record_of = record_of
        self._chosen = starts

    def __iter__(self) -> Iterator[R]:
        if self._chosen is not None:
            with self.path.open("rb") as rows:
                for start in self._chosen:
                    rows.seek(start)
                    yield self._record_of(json.loads(rows.readline()))
            return
        # lines end in LF alone: real chains hold U+2028, which `splitlines` would cut
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield self._record_of(json.loads(line))

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> list[R]: ...
    def __getitem__(self, place: int | slice) -> R | list[R]:
        if isinstance(place, slice):
            return [self[index] for index in range(len(self))[place]]
        with self.path.open("rb") as file:
            file.seek(self._starts[place])
            return self._record_of(json.loads(file.readline()))

    def at(self, places: Iterable[int]) -> StoredRows[R]:
        """The rows at these places alone."""
        return StoredRows(
            self.path, self._record_of, array("q", (self._starts[place] for place in places))
        )

    def read_as(self, record_of: Callable[[Any], T]) -> StoredRows[T]:
        """The same rows as other records."""
        return StoredRows(self.path, record_of, self._starts)

    @cached_property
    def _starts(self) -> array[int]:
        """Where each row starts, in bytes."""
        if self._chosen is not None:
            return self._chosen
        starts, end = array("q"), 0
        with self.path.open("rb") as file:
            for line in file:
                starts.append(end)
                end += len(line)
        return starts


def at(rows: Sequence[T], places: Iterable[int]) -> Sequence[T]:
    """The records at these places: on the disk where `rows` are, else as a list."""
    if isinstance(rows, StoredRows):
        return rows.at(places)
    return [rows[place] for place in places]


def those(rows: Sequence[T], wanted: Callable[[T], bool]) -> Sequence[T]:
    """The records that are `wanted`, as `at`."""
    return at(rows, array("q", (place for place, row in enumerate(rows) if wanted(row))))


def on_disk_if_many(rows: StoredRows[T]) -> Sequence[T]:
    """The same records, in memory unless there are more than `streams.KEPT`."""
    return rows if len(rows) > streams.KEPT else list(rows)


class ProblemsOnDisk(Sequence[Problem]):
    """The problems of stored chains, each once."""

    def __init__(self, chains: StoredRows[Chain]) -> None:
        self._chains = chains

    @cached_property
    def _rows(self) -> StoredRows[Problem]:
        """Found at the first use: it takes a pass over all chains."""
        seen: set[int] = set()
        places = array("q")
        for place, chain in enumerate(self._chains):
            key = streams.hash64(chain.problem.id)
            if key not in seen:
                seen.add(key)
                places.append(place)
        return self._chains.read_as(problem_in_row).at(places)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Problem: ...
    @overload
    def __getitem__(self, place: slice) -> list[Problem]: ...
    def __getitem__(self, place: int | slice) -> Problem | list[Problem]:
        return self._rows[place]


def chain_in_row(row: Any) -> Chain:
    """The chain of a row of the stage `data`."""
    return Chain(problem_in_row(row), Rationale.from_row(row["rationale"]))


def problem_in_row(row: Any) -> Problem:
    """The problem of such a row."""
    return Problem.from_row(row["problem"])


def row_of_chain(chain: Chain) -> dict[str, Any]:
    """The row that `chain_in_row` reads."""
    return {"problem": chain.problem.to_row(), "rationale": chain.rationale.to_row()}
