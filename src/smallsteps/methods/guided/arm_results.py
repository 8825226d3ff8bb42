"""What LM-guided chain of thought reports of an arm: what its rationales changed in the reader's
answers, and how its student was refined. The records are in `results.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from smallsteps.evaluation.significance import rank_correlation
from smallsteps.experiment.grading import GradedArm
from smallsteps.methods.guided.config import REWARDED
from smallsteps.methods.guided.method import turned
from smallsteps.methods.guided.rationales import GuidedAnswer
from smallsteps.methods.guided.results import GuidanceResult, RefinementResult
from smallsteps.quality.aspects import ASPECTS
from smallsteps.training.reinforce import Reinforced


@dataclass(frozen=True)
class GuidedDetail:
    """What this method reports of an arm beside its answers."""

    answers: list[GuidedAnswer]
    quality: list[dict[str, Any]] | None
    """The aspects of what the reader was given; None: it was given nothing."""
    refined: Reinforced | None
    """How the student was refined."""


def guidance_result(graded: GradedArm, plain: GradedArm | None) -> GuidanceResult:
    """What the rationales of an arm changed and cost. `plain`: the reader without any."""
    detail: GuidedDetail = graded.outcome.detail
    answers, count = detail.answers, len(detail.answers)
    right = _right(graded)
    aspects = correlation = None
    if detail.quality is not None:
        aspects = {}
        for name in ASPECTS:
            values = [row[name] for row in detail.quality if row.get(name) is not None]
            if values:
                aspects[name] = round(fmean(values), 4)
        overall = [
            # a chat model may have rated nothing readably
            fmean([row[name] for name in REWARDED if row[name] is not None] or [0.0])
            for row in detail.quality
        ]
        correlation = rank_correlation(overall, [float(value) for value in right])
    return GuidanceResult(
        arm=graded.name,
        seed=graded.seed,
        turned=None if plain is None else turned(_right(plain), right),
        read_from=dict(sorted(Counter(answer.read_from for answer in answers).items())),
        small_tokens=round(sum(answer.small_tokens for answer in answers) / count, 1),
        large_tokens=round(sum(answer.large_tokens for answer in answers) / count, 1),
        small_seconds=round(sum(answer.small_seconds for answer in answers) / count, 6),
        large_seconds=round(sum(answer.large_seconds for answer in answers) / count, 6),
        quality=aspects,
        correlation=correlation,
    )


def _right(graded: GradedArm) -> list[bool]:
    return [item.value == 1.0 for item in graded.score.grades]


def refinement_result(arm: str, seed: int, refined: Reinforced) -> RefinementResult:
    """How the refinement went: means over the first and the last tenth of its steps."""
    tenth = max(1, len(refined.curves) // 10)
    first, last = refined.curves[:tenth], refined.curves[-tenth:]
    gauges = dict.fromkeys(
        name
        for row in refined.curves
        for name, value in row.items()
        if name not in ("update", "metric") and isinstance(value, int | float)
    )
    return RefinementResult(
        arm=arm,
        seed=seed,
        steps=refined.steps,
        stopped=refined.stopped,
        update=refined.best.update,
        value=refined.best.value,
        start=refined.start,
        first={name: _mean(first, name) for name in gauges},
        last={name: _mean(last, name) for name in gauges},
    )


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return round(fmean(values), 4) if values else None
