"""One record for each arm over its seeds, the paired tests that count, and the baseline.

Page and terminal both read these, so that they cannot disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from smallsteps.experiment.results import ArmResult, ComparisonResult, Figure, Results
from smallsteps.records import Stopped


@dataclass(frozen=True)
class ArmSummary:
    """An arm over all its seeds: figures pooled, costs as means."""

    name: str
    control: bool
    metric: str
    value: float
    low: float
    high: float
    n: int
    unparsed: int
    stopped: Mapping[Stopped, int]
    metrics: Mapping[str, Figure]
    """Further metrics; empty where several seeds have one each."""
    train_tokens: float | None
    passes: float | None
    seconds: float | None
    """Of training."""
    teacher_tokens: float | None
    seconds_per_answer: float
    seeds: Sequence[ArmResult]
    """The arm at each seed."""


def arm_names(results: Results) -> list[str]:
    """The arms in the order of the results."""
    return list(dict.fromkeys(arm.name for arm in results.arms))


def summaries(results: Results) -> list[ArmSummary]:
    """One for each arm, in the order of the results."""
    pooled = {score.name: score for score in results.pooled}
    per_arm = []
    for name in arm_names(results):
        seeds = [arm for arm in results.arms if arm.name == name]
        score = seeds[0] if len(seeds) == 1 else pooled[name]
        per_arm.append(
            ArmSummary(
                name=name,
                control=seeds[0].control,
                metric=score.metric,
                value=score.value,
                low=score.low,
                high=score.high,
                n=score.n,
                unparsed=score.unparsed,
                stopped=score.stopped,
                metrics=seeds[0].metrics if len(seeds) == 1 else {},
                train_tokens=_mean(arm.train_tokens for arm in seeds),
                passes=_mean(arm.passes for arm in seeds),
                seconds=_mean(arm.seconds for arm in seeds),
                teacher_tokens=_mean(arm.teacher_tokens for arm in seeds),
                seconds_per_answer=fmean(arm.seconds_per_answer for arm in seeds),
                seeds=seeds,
            )
        )
    return per_arm


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def main_comparisons(results: Results) -> list[ComparisonResult]:
    """The paired tests over all seeds; with one seed, its tests."""
    return results.pooled_comparisons or results.comparisons


def baseline(results: Results) -> str | None:
    """The arm that most arms are compared with; None: no arms are compared."""
    against = Counter(comparison.against for comparison in main_comparisons(results))
    return against.most_common(1)[0][0] if against else None


def excludes_zero(comparison: ComparisonResult) -> bool:
    """Whether the interval of a paired difference lies on one side of zero."""
    return comparison.low > 0 or comparison.high < 0
