"""Which arms differ: the scores of all arms and seeds, pooled and tested in pairs, on the test
problems and on further test sets.

The last step of a run before `results.json` (`results.py`). The statistics are those of
`evaluation.comparison`; which arms are paired, `grading.compared_pairs` says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from smallsteps.evaluation.comparison import compare_scores, join_sets, pool_scores
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.score_results import (
    ComparisonResult,
    FurtherComparison,
    FurtherResult,
    JoinedFurtherResult,
    PooledResult,
)

Scores = Mapping[str, Mapping[int, Score]]
"""Arm → seed → its score."""


@dataclass(frozen=True)
class ComparedArms:
    """The parts of `Results` that compare arms; `**vars(...)` fills them in."""

    comparisons: list[ComparisonResult]
    pooled: list[PooledResult]
    pooled_comparisons: list[ComparisonResult]


@dataclass(frozen=True)
class ComparedFurther:
    """The parts of `Results` on further test sets; `**vars(...)` fills them in."""

    further_tests: list[FurtherResult]
    further_joined: list[JoinedFurtherResult]
    further_comparisons: list[FurtherComparison]


def compare_arms(
    scores: Scores,
    pairs: Iterable[tuple[str, str]],
    *,
    resamples: int,
) -> ComparedArms:
    """Paired tests of `pairs` (arm, baseline) at each seed that both have and, where there are
    several seeds, over all of these. Arms that share no seed are paired over all of theirs, if they
    have equally many; else they are not tested."""
    pairs = list(pairs)
    comparisons = _by_seed(scores, pairs, resamples)
    if _single_seed(scores):
        return ComparedArms(comparisons, [], [])
    pooled = [
        PooledResult.of(arm, pool_scores(list(by_seed.values()), resamples=resamples))
        for arm, by_seed in scores.items()
    ]
    return ComparedArms(comparisons, pooled, _over_seeds(scores, pairs, resamples))


def compare_further(
    scores: Mapping[str, Scores],
    pairs: Iterable[tuple[str, str]],
    counted: Mapping[str, Collection[str]],
    *,
    resamples: int,
) -> ComparedFurther:
    """The figure of each arm on each further test set, and the paired tests there of those `pairs`
    of which both arms have answered it: over the seeds as in `compare_arms`, or at the only one.
    The same on the questions of all sets, for arms that have answered all, where the sets have one
    metric that is a mean over questions.

    `scores`: test set → its scores. `counted`: test set → the ids of its questions that count where
    all sets are one."""
    pairs = list(pairs)
    figures, tests = [], []
    for test_set, of_set in scores.items():
        for arm, by_seed in of_set.items():
            pooled = pool_scores(list(by_seed.values()), resamples=resamples)
            row = PooledResult.of(arm, pooled).model_dump()
            figures.append(FurtherResult(test_set=test_set, **row))
        tests += [FurtherComparison.on(test_set, row) for row in _main(of_set, pairs, resamples)]
    joined = _joined(scores, counted, resamples)
    tests += [FurtherComparison.on(None, row) for row in _main(joined, pairs, resamples)]
    rows = [
        JoinedFurtherResult.of(arm, pool_scores(list(by_seed.values()), resamples=resamples))
        for arm, by_seed in joined.items()
    ]
    return ComparedFurther(figures, rows, tests)


def _joined(
    scores: Mapping[str, Scores], counted: Mapping[str, Collection[str]], resamples: int
) -> dict[str, dict[int, Score]]:
    """The scores of each arm at each seed on all sets; empty where there are not several sets, or
    they cannot be joined."""
    if len(scores) < 2:
        return {}
    ids = [counted[test_set] for test_set in scores]
    first, *others = scores.values()
    joined: dict[str, dict[int, Score]] = {}
    for arm, by_seed in first.items():
        for seed, score in by_seed.items():
            of_sets = [score, *(of_set.get(arm, {}).get(seed) for of_set in others)]
            known = [of_set for of_set in of_sets if of_set is not None]
            if len(known) < len(of_sets):
                continue
            together = join_sets(known, ids, resamples=resamples)
            if together is not None:
                joined.setdefault(arm, {})[seed] = together
    return joined


def _main(
    scores: Scores, pairs: Sequence[tuple[str, str]], resamples: int
) -> list[ComparisonResult]:
    """The tests over all seeds, or at the only one, of the pairs that are both among `scores`."""
    known = [(arm, against) for arm, against in pairs if arm in scores and against in scores]
    return (_by_seed if _single_seed(scores) else _over_seeds)(scores, known, resamples)


def _by_seed(
    scores: Scores, pairs: Sequence[tuple[str, str]], resamples: int
) -> list[ComparisonResult]:
    return [
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


def _over_seeds(
    scores: Scores, pairs: Sequence[tuple[str, str]], resamples: int
) -> list[ComparisonResult]:
    @cache  # a baseline stands in many pairs
    def pooled(arm: str, seeds: tuple[int, ...]) -> Score:
        return pool_scores([scores[arm][seed] for seed in seeds], resamples=resamples)

    tests = []
    for arm, against in pairs:
        seeds, other_seeds = _paired(scores[arm], scores[against])
        if seeds:
            comparison = compare_scores(
                pooled(arm, seeds), pooled(against, other_seeds), resamples=resamples
            )
            tests.append(ComparisonResult.of(arm, against, None, comparison))
    return tests


def _single_seed(scores: Scores) -> bool:
    return len({seed for by_seed in scores.values() for seed in by_seed}) == 1


def in_order(against: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Arm → arms that it is compared with, as pairs: the first of each arm, then the others."""
    first = [(name, other) for name, others in against.items() for other in others[:1]]
    return first + [(name, other) for name, others in against.items() for other in others[1:]]


def _paired(
    first: Mapping[int, Score], second: Mapping[int, Score]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds of two arms over which they are paired; empty where they cannot be."""
    shared = tuple(seed for seed in first if seed in second)
    if shared:
        return shared, shared
    return (tuple(first), tuple(second)) if len(first) == len(second) else ((), ())
