"""Examples → ids, once, before the first update.

Encoder-decoder: one example, one row. Causal: the examples of one chain become one sequence (AS-ES
method page, section 3), whose loss counts just the segments that the examples teach, so that one
pass over the chain trains all of them. All ids come from the student's own renderer, which
generation asks too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from smallsteps.errors import InternalError
from smallsteps.records import Example, Kind
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded

SegmentPath = tuple[tuple[Kind, str], ...]
"""Segments of a chain from its beginning, as (kind, text)."""


def encode(student: Student, task: Task, examples: Iterable[Example]) -> list[Encoded]:
    """`iter_encoded`, as a list."""
    return list(iter_encoded(student, task, examples))


def iter_encoded(student: Student, task: Task, examples: Iterable[Example]) -> Iterator[Encoded]:
    """The rows that train `examples`, in the order of their first example; every example is in
    exactly one row.

    The examples of a chain may stand anywhere in a sequence. Of what is not a sequence, and may not
    fit into memory, the examples of a question are those that follow one another."""
    if student.architecture == "encoder-decoder":
        for example in examples:
            yield _pair(student, task, example)
        return
    for together in [examples] if isinstance(examples, Sequence) else by_question(examples):
        for chain in chains_of(together):
            yield _sequence(student, task, chain)


def by_question(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """The examples of a question that follow one another, together."""
    neighbours = groupby(examples, key=lambda example: (example.problem_id, example.question))
    return (list(group) for _, group in neighbours)


def _pair(student: Student, task: Task, example: Example) -> Encoded:
    source = student.source_ids(task, example.question, example.prefix, example.cue)
    target = student.target_ids(task, example.target, example.last)
    return Encoded(tuple(source), tuple(target), (True,) * len(target), (example.id,))


def chains_of(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples that lie on one chain, together and in the order of the chain.

    An example lies on a chain when its prefix and target are the chain's beginning. Where two
    chains of a problem begin alike, each takes its own copy. Whole chains (kind None) stand alone.
    """
    where = {id(example): place for place, example in enumerate(examples)}
    alone = [[example] for example in examples if example.kind is None]
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        if example.kind is not None:
            groups[example.problem_id, example.question].append(example)
    rows = alone
    for group in groups.values():
        chains: list[tuple[SegmentPath, dict[int, Example]]] = []
        for example in sorted(group, key=lambda e: (-len(e.prefix), where[id(e)])):
            path = _path(example)
            for full, taken in chains:
                if full[: len(path)] == path and len(path) not in taken:
                    taken[len(path)] = example
                    break
            else:
                chains.append((path, {len(path): example}))
        rows.extend([taken[length] for length in sorted(taken)] for _, taken in chains)
    return sorted(rows, key=lambda chain: min(where[id(example)] for example in chain))


def _path(example: Example) -> SegmentPath:
    """The segments up to the example's target."""
    if example.kind is None:
        raise InternalError(f"{example.id}: a whole chain has no segments")
    return (*example.prefix, (example.kind, example.target))


def _sequence(student: Student, task: Task, chain: Sequence[Example]) -> Encoded:
    """One causal sequence: the longest example's ids, counted where any of the chain's examples has
    its target."""
    longest = chain[-1]
    prefix = _opened(longest)
    source = student.source_ids(task, longest.question, prefix, longest.kind)
    ids = (*source, *_target(student, task, longest))
    counted = [False] * len(ids)
    for example in chain:
        start = len(student.source_ids(task, example.question, _opened(example), example.kind))
        end = start + len(_target(student, task, example))
        counted[start:end] = [True] * (end - start)
    return Encoded((), ids, tuple(counted), tuple(example.id for example in chain))


def _opened(example: Example) -> SegmentPath:
    """The prefix as a causal student reads it: a chain that opens with AS has an empty ES before
    it."""
    opener = example.prefix[0][0] if example.prefix else example.kind
    return (("ES", ""), *example.prefix) if opener == "AS" else example.prefix


def _target(student: Student, task: Task, example: Example) -> list[int]:
    """A segment that is not the last ends in the marker of the other kind: neighbours of one kind
    are merged."""
    if example.kind is None or example.last:
        return student.target_ids(task, example.target, example.last)
    return student.target_ids(task, example.target, False, "AS" if example.kind == "ES" else "ES")
