"""The rows of a file that a stage wrote, as a sequence that stays on the disk.

In memory are 8 bytes a row. Each use of a row reads it anew: two uses give equal records, never the
same object."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

from smallsteps.records import Chain, Problem, Rationale

R = TypeVar("R", covariant=True)


class StoredRows(Sequence[R]):
    """The records of a JSON Lines file that nobody changes."""

    def __init__(self, path: Path, record_of: Callable[[Any], R]) -> None:
        self.path = path
        self._record_of = record_of

    def __iter__(self) -> Iterator[R]:
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

    @cached_property
    def _starts(self) -> array[int]:
        """Where each row starts, in bytes."""
        starts, end = array("q"), 0
        with self.path.open("rb") as file:
            for line in file:
                starts.append(end)
                end += len(line)
        return starts


def chain_in_row(row: Any) -> Chain:
    """The chain of a row of the stage `data`."""
    return Chain(problem_in_row(row), Rationale.from_row(row["rationale"]))


def problem_in_row(row: Any) -> Problem:
    """The problem of such a row."""
    return Problem.from_row(row["problem"])


def row_of_chain(chain: Chain) -> dict[str, Any]:
    """The row that `chain_in_row` reads."""
    return {"problem": chain.problem.to_row(), "rationale": chain.rationale.to_row()}
