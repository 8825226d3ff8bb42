"""Which arms differ: the scores of all arms and seeds, pooled and tested in pairs.

The last step of a run before `results.json` (`results.py`). The statistics are those of
`evaluation.comparison`; which arms are paired, `grading.compared_pairs` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.results import ComparisonResult, PooledResult


@dataclass(frozen=True)
class ComparedArms:
    """The parts of `Results` that compare arms; `**vars(...)` fills them in."""

    comparisons: list[ComparisonResult]
    pooled: list[PooledResult]
    pooled_comparisons: list[ComparisonResult]


def compare_arms(
    scores: Mapping[str, Sequence[Score]],
    pairs: Iterable[tuple[str, str]],
    seeds: Sequence[int],
    *,
    resamples: int,
) -> ComparedArms:
    """Paired tests of `pairs` (arm, baseline) at each seed and, with several seeds, over all.

    `scores`: arm → its scores in the order of `seeds`."""
    pairs = list(pairs)
    comparisons = [
        ComparisonResult.of(
            arm, against, seed, compare_scores(score, baseline, resamples=resamples)
        )
        for arm, against in pairs
        for seed, score, baseline in zip(seeds, scores[arm], scores[against], strict=True)
    ]
    if len(seeds) == 1:
        return ComparedArms(comparisons, [], [])
    pooled = {arm: pool_scores(by_seed, resamples=resamples) for arm, by_seed in scores.items()}
    pooled_comparisons = [
        ComparisonResult.of(
            arm, against, None, compare_scores(pooled[arm], pooled[against], resamples=resamples)
        )
        for arm, against in pairs
    ]
    return ComparedArms(
        comparisons,
        [PooledResult.of(arm, score) for arm, score in pooled.items()],
        pooled_comparisons,
    )
