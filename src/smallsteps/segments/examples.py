"""Segments → what a student is trained on, for each arm.

The data sets of Xi et al. 2024, Sec. 3.2, as worked through in the method page's Section 3.
Rendering to ids is the student's work; here a question, the earlier segments and the segment to
write stay apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from smallsteps.errors import InternalError
from smallsteps.records import Chain, Example, Kind, Segment
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

SegmentPath = Literal["direct", "uni", "dual"]
"""How a student writes a chain: whole at once, one model for both kinds of segments, one model for
each kind."""


def build_examples(
    chains: Iterable[Chain],
    segments: Iterable[Sequence[Segment]],
    task: Task | str,
    path: SegmentPath,
    *,
    cue: bool = False,
    causal: bool = False,
) -> list[Example]:
    """`iter_examples`, as a list."""
    return list(iter_examples(chains, segments, task, path, cue=cue, causal=causal))


def iter_examples(
    chains: Iterable[Chain],
    segments: Iterable[Sequence[Segment]],
    task: Task | str,
    path: SegmentPath,
    *,
    cue: bool = False,
    causal: bool = False,
) -> Iterator[Example]:
    """The examples of one arm, in the order of the chains; `segments` may be empty for `direct`.

    direct: (Q -> R), one example per chain. uni: D_ES and D_AS (Eq. 9), one example per segment;
    with `cue` the marker of its kind closes the input. dual: the same rows, to be separated by
    `Example.kind`.

    A chain that opens with AS also gives (Q -> empty) of kind ES wherever the kinds must alternate:
    for dual, where the ES model learns to say nothing, for uni with `cue`, and for a `causal`
    student, whose markers alternate. The empty segment then stands in the later prefixes too, where
    an encoder-decoder's input does not show it: AS_1 reads the same Q. An encoder-decoder's
    uni-path without `cue` simply starts with AS_1."""
    task = get_task(task)
    if path == "direct":
        for chain in chains:
            yield Example(
                id=f"{chain.rationale.id}/whole",
                problem_id=chain.problem.id,
                question=task.render(chain.problem),
                prefix=(),
                target=chain.rationale.text.strip(),
                last=True,
            )
        return
    alternates = path == "dual" or cue or causal
    for chain, chain_segments in zip(chains, segments, strict=True):
        if "".join(segment.text for segment in chain_segments) != chain.rationale.text:
            raise InternalError(
                f"{chain.rationale.id}: its segments joined are not the rationale; "
                "were they cut from it?"
            )
        yield from _chain_examples(
            chain, chain_segments, task.render(chain.problem), alternates=alternates, cue=cue
        )


def segment_limit(examples: Iterable[Example]) -> int:
    """Segments that a student of these examples may write: as many as the longest chain has, and a
    quarter more, at least two, as room for longer ones.

    The paper's algorithms write until the stop sign, without a limit; the authors' code ends after
    five rounds of two, which cuts off 17.9 % of GSM8K chains that are segmented by `inter`. A
    student that repeats itself needs a limit."""
    longest = max((len(example.prefix) + 1 for example in examples), default=1)
    return longest + max(2, longest // 4)


def _chain_examples(
    chain: Chain, segments: Sequence[Segment], question: str, *, alternates: bool, cue: bool
) -> list[Example]:
    rows: list[tuple[str, Kind, str]] = [
        (segment.id, segment.kind, segment.text.strip()) for segment in segments
    ]
    if alternates and segments[0].kind == "AS":
        rows.insert(0, (f"{chain.rationale.id}/empty", "ES", ""))
    return [
        Example(
            id=id,
            problem_id=chain.problem.id,
            question=question,
            prefix=tuple((kind, text) for _, kind, text in rows[:index]),
            target=target,
            kind=kind,
            cue=kind if cue else None,
            last=index == len(rows) - 1,
        )
        for index, (id, kind, target) in enumerate(rows)
    ]
