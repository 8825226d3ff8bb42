"""Which arms differ: the scores of all arms and seeds, pooled and tested in pairs.

The last step of a run before `results.json` (`results.py`). The statistics are those of
`evaluation.comparison`; which arms are paired, `grading.compared_pairs` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.score_results import ComparisonResult, PooledResult


@dataclass(frozen=True)
class ComparedArms:
    """The parts of `Results` that compare arms; `**vars(...)` fills them in."""

    comparisons: list[ComparisonResult]
    pooled: list[PooledResult]
    pooled_comparisons: list[ComparisonResult]


def compare_arms(
    scores: Mapping[str, Mapping[int, Score]],
    pairs: Iterable[tuple[str, str]],
    *,
    resamples: int,
) -> ComparedArms:
    """Paired tests of `pairs` (arm, baseline) at each seed that both have and, where there are
    several seeds, over all of these. Arms that share no seed are paired over all of theirs, if they
    have equally many; else they are not tested.

    `scores`: arm → seed → its score."""
    pairs = list(pairs)
    comparisons = [
        ComparisonResult.of(
            arm,
            against,
            seed,
            compare_scores(score, scores[against][seed], resamples=resamples),
        )
        for arm, against in pairs
        for seed, score in scores[arm].items()
        if seed in scores[against]
    ]
    if len({seed for by_seed in scores.values() for seed in by_seed}) == 1:
        return ComparedArms(comparisons, [], [])
    pooled = {
        arm: pool_scores(list(by_seed.values()), resamples=resamples)
        for arm, by_seed in scores.items()
    }
    pooled_comparisons = []
    for arm, against in pairs:
        first, second = _paired(scores[arm], scores[against])
        if first:
            comparison = compare_scores(
                pool_scores(first, resamples=resamples),
                pool_scores(second, resamples=resamples),
                resamples=resamples,
            )
            pooled_comparisons.append(ComparisonResult.of(arm, against, None, comparison))
    return ComparedArms(
        comparisons,
        [PooledResult.of(arm, score) for arm, score in pooled.items()],
        pooled_comparisons,
    )


def in_order(against: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Arm → arms that it is compared with, as pairs: the first of each arm, then the others."""
    first = [(name, other) for name, others in against.items() for other in others[:1]]
    return first + [(name, other) for name, others in against.items() for other in others[1:]]


def _paired(
    first: Mapping[int, Score], second: Mapping[int, Score]
) -> tuple[list[Score], list[Score]]:
    """The scores of two arms that are paired over seeds; empty where they cannot be."""
    shared = [seed for seed in first if seed in second]
    if shared:
        return [first[seed] for seed in shared], [second[seed] for seed in shared]
    if len(first) == len(second):
        return list(first.values()), list(second.values())
    return [], []
