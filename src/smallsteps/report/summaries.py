"""One record for each arm over its seeds, the paired tests that count, and the baseline.

Page and terminal both read these, so that they cannot disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

from smallsteps.evaluation.metrics import METRICS
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.score_results import ComparisonResult
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
    learning_rate: float | None
    """The highest of the schedule, the same at all seeds; None: nothing was trained, the method has
    its own, or the seeds differ."""
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
                learning_rate=_same(arm.learning_rate for arm in seeds),
                seconds_per_answer=fmean(arm.seconds_per_answer for arm in seeds),
                seeds=seeds,
            )
        )
    return per_arm


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _same(values: Iterable[float | None]) -> float | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def shared_rate(results: Results) -> float | None:
    """The learning rate of all arms that have one; None: there is none, or they differ."""
    return _same({arm.learning_rate for arm in results.arms} - {None})


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


def chosen_on_validation(results: Results) -> str | None:
    """The arm whose student the run hands out; None: it trained nothing, or nothing was measured on
    validation, so that the first arm was taken."""
    best = results.best
    return None if best is None or best.validation is None else best.name


def better(value: float, other: float, metric: str) -> bool:
    """Whether `value` is better than `other` by this metric."""
    lower = metric in METRICS and METRICS[metric].lower_is_better
    return value < other if lower else value > other


@dataclass(frozen=True)
class Difference:
    """A paired difference of two arms: the first minus the second."""

    value: float
    low: float
    high: float
    clear: bool
    """Whether the interval excludes zero."""

    @classmethod
    def of(cls, test: ComparisonResult, first: str) -> Self:
        """The test from `first`'s side, whichever way round it was made."""
        if test.arm == first:
            return cls(test.difference, test.low, test.high, excludes_zero(test))
        return cls(-test.difference, -test.high, -test.low, excludes_zero(test))


def difference_between(
    comparisons: Iterable[ComparisonResult], first: str, second: str
) -> Difference | None:
    """The tested difference of two arms; None: the two were not tested."""
    test = next((test for test in comparisons if {test.arm, test.against} == {first, second}), None)
    return None if test is None else Difference.of(test, first)


def tested_against(comparisons: Sequence[ComparisonResult], arm: str) -> list[str]:
    """The arms that `arm` was tested against: first those that it was compared with, then those
    that were compared with it."""
    ways = [(test.arm, test.against) for test in comparisons]
    ways += [(against, first) for first, against in ways]
    return list(dict.fromkeys(other for first, other in ways if first == arm))
