"""The control `chunks`: segments without meaning. A chain is cut at equal lengths into as many
pieces as another strategy makes of it, and the k-th piece has the kind of that strategy's k-th
segment.

So an arm on chunks differs from the other strategy's arm in one thing: where the cuts fall. The
closing sentence stays whole in the last piece; a student that never learnt it in one piece would
not know when to stop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from smallsteps.records import Chain, Problem, Segment
from smallsteps.tasks.base import Task
from smallsteps.tasks.sentences import last_sentence

_WORD, _CHARACTER = re.compile(r"\S+\s*"), re.compile(r"\S\s*")


def chunks(chain: Chain, segments: Sequence[Segment], task: Task) -> list[Segment]:
    """The chain cut into as many pieces as it has `segments`, of equal length in words (in
    characters, where the language has no spaces); fewer where the words do not suffice."""
    text = chain.rationale.text
    unit = _WORD if task.joiner else _CHARACTER
    starts = [match.start() for match in unit.finditer(text)]
    starts[:1] = [0]  # white space before the first word belongs to it
    closing = _closing_start(text, task, chain.problem)
    latest = sum(start <= closing for start in starts) - 1  # the last piece begins here at latest
    count = min(len(segments), latest + 1)
    cuts = [
        min(round(number * len(starts) / count), latest - (count - 1 - number))
        for number in range(1, count)
    ]
    places = [0, *(starts[cut] for cut in cuts), len(text)]
    return [
        Segment(
            id=f"{chain.rationale.id}/{number}",
            rationale_id=chain.rationale.id,
            kind=segment.kind,
            text=text[start:end],
        )
        for number, ((start, end), segment) in enumerate(
            zip(pairwise(places), segments, strict=False)
        )
    ]


def _closing_start(text: str, task: Task, problem: Problem) -> int:
    """Where the closing sentence begins: the end of `text` where there is none, 0 where it cannot
    be told from the rest."""
    if task.closing_pattern is None or not task.ends_chain(text, problem):
        return len(text)
    start = text.rfind(last_sentence(text))
    return start if task.ends_chain(text[start:], problem) else 0
