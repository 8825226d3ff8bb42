"""Segments → what a student is trained on, for each arm.

The data sets of Xi et al. 2024, Sec. 3.3, as worked through in the method page's Section 3. Rendering to ids is the
student's work; here a question, the earlier segments and the segment to write stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from smallsteps.errors import InternalError
from smallsteps.records import Chain, Example, Kind, Segment
from smallsteps.tasks.base import Task

Path = Literal["direct", "uni", "dual"]
"""Whole chains; one model for both kinds of segments; one model for each kind."""


def build_examples(
    chains: Sequence[Chain], segments: Sequence[Sequence[Segment]], task: Task, path: Path, *, cue: bool = False
) -> list[Example]:
    """The examples of one arm, in the order of the chains; `segments` may be empty for `direct`.

    direct: (Q -> R), a chain each. uni: D_ES and D_AS (Eq. 9), a segment each; with `cue` the marker of its kind closes
    the input. dual: the same rows, to be parted by `Example.kind`. A chain that opens with AS also gives (Q -> empty) of
    kind ES for dual, where the ES model must learn to say nothing, and for uni with `cue`, whose loop alternates the
    cue; AS_1 then reads the same Q.
    """
    if path == "direct":
        return [
            Example(
                id=f"{chain.rationale.id}/whole",
                problem_id=chain.problem.id,
                question=task.render(chain.problem),
                prefix=(),
                target=chain.rationale.text.strip(),
                last=True,
            )
            for chain in chains
        ]
    examples: list[Example] = []
    for chain, own in zip(chains, segments, strict=True):
        if "".join(segment.text for segment in own) != chain.rationale.text:
            raise InternalError(
                f"{chain.rationale.id}: its segments joined are not the rationale; were they cut from it?"
            )
        examples += _chain_examples(chain, own, task.render(chain.problem), opener=path == "dual" or cue, cue=cue)
    return examples


def _chain_examples(
    chain: Chain, segments: Sequence[Segment], question: str, *, opener: bool, cue: bool
) -> list[Example]:
    def example(id: str, kind: Kind, target: str, prefix: tuple[tuple[Kind, str], ...], last: bool) -> Example:
        return Example(id, chain.problem.id, question, prefix, target, kind, cue=kind if cue else None, last=last)

    examples = []
    if opener and segments[0].kind == "AS":
        examples.append(example(f"{chain.rationale.id}/empty", "ES", "", (), last=False))
    prefix: tuple[tuple[Kind, str], ...] = ()
    for index, segment in enumerate(segments):
        text = segment.text.strip()
        examples.append(example(segment.id, segment.kind, text, prefix, last=index == len(segments) - 1))
        prefix = (*prefix, (segment.kind, text))
    return examples
