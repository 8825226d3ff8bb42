"""Where chains are cut into segments, in 20 bytes a chain and 5 a segment instead of a second copy
of the text."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from smallsteps.errors import InternalError
from smallsteps.records import KINDS, Chain, Segment
from smallsteps.streams import hash64


class Cuts:
    """The segments of many chains, without their scores.

    Chains are told apart by hashes of their ids (`hash64`); the length of the text must fit as
    well."""

    def __init__(self, segments_of_chains: Iterable[Sequence[Segment]] = ()) -> None:
        self._keys = array("Q")
        """One for each chain."""
        self._first = array("q", [0])
        """Of each chain its first segment, and the number of all."""
        self._lengths = array("i")
        """Characters of each segment."""
        self._kinds = bytearray()
        """Places in `KINDS`."""
        self._next = 0
        """The chain that is probably asked for next: most are read in their order."""
        self._order: np.ndarray[Any, Any] | None = None
        """Chains by key; None: not sorted yet."""
        for segments in segments_of_chains:
            self.add(segments)

    def add(self, segments: Sequence[Segment]) -> None:
        """Adds the segments of a chain, one at least."""
        self._keys.append(hash64(segments[0].rationale_id))
        self._lengths.extend(len(segment.text) for segment in segments)
        self._kinds.extend(KINDS.index(segment.kind) for segment in segments)
        self._first.append(len(self._lengths))
        self._order = None

    def __len__(self) -> int:
        """Number of chains."""
        return len(self._keys)

    def of(self, chain: Chain) -> list[Segment]:
        """The segments of a chain; their texts joined are its rationale. Raises InternalError where
        the chain was not cut, or was cut from another text."""
        place = self._place(chain.rationale.id)
        first, end = self._first[place], self._first[place + 1]
        if sum(self._lengths[first:end]) != len(chain.rationale.text):
            raise InternalError(
                f"{chain.rationale.id}: its segments joined are not the rationale; "
                "were they cut from it?"
            )
        segments, start = [], 0
        for number in range(end - first):
            stop = start + self._lengths[first + number]
            segments.append(
                Segment(
                    id=f"{chain.rationale.id}/{number}",
                    rationale_id=chain.rationale.id,
                    kind=KINDS[self._kinds[first + number]],
                    text=chain.rationale.text[start:stop],
                )
            )
            start = stop
        return segments

    def _place(self, rationale_id: str) -> int:
        key, place = hash64(rationale_id), self._next
        if place >= len(self) or self._keys[place] != key:
            keys = np.frombuffer(self._keys, dtype=np.uint64)
            if self._order is None:
                self._order = np.argsort(keys, kind="stable").astype(np.int32)
            at = int(np.searchsorted(keys, np.uint64(key), sorter=self._order))
            place = int(self._order[at]) if at < len(self) else -1
            if place < 0 or self._keys[place] != key:
                raise InternalError(f"{rationale_id}: the chain has no segments")
        self._next = place + 1
        return place
