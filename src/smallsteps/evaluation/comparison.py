"""Two scores against each other, and the scores of several seeds as one.

Comparisons are paired: both arms answered the same questions. The paired bootstrap and McNemar's
test are computed in `significance.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from smallsteps.errors import DataError
from smallsteps.evaluation.grade import Score, with_interval
from smallsteps.evaluation.metrics import METRICS, mean
from smallsteps.evaluation.significance import RESAMPLES, mcnemar, paired_bootstrap


@dataclass(frozen=True)
class Comparison:
    """The difference of two scores on the same questions: score - baseline, in points."""

    difference: float
    low: float
    high: float
    p_bootstrap: float
    """Two-sided, paired over questions (and seeds)."""
    p_mcnemar: float | None
    """Exact McNemar test. None where answers are not right or wrong (BLEU) or several seeds are
    pooled."""
    only_score: int
    """Questions that only the first arm got right (0 where McNemar's test does not apply)."""
    only_baseline: int
    n: int

    def __str__(self) -> str:
        mcnemar_part = "" if self.p_mcnemar is None else f", McNemar p = {self.p_mcnemar:.3f}"
        return (
            f"{self.difference:+.1f} [{self.low:+.1f}, {self.high:+.1f}], "
            f"bootstrap p = {self.p_bootstrap:.3f}{mcnemar_part}, n = {self.n}"
        )


def pool_scores(scores: Sequence[Score], *, resamples: int = RESAMPLES) -> Score:
    """The scores of several seeds of one arm as one: the value over all, its interval over
    questions x seeds.

    Raises DataError where the scores are not of the same metric and problems."""
    if not scores:
        raise DataError("There are no scores to pool.")
    for score in scores[1:]:
        _check_comparable(scores[0], score)
    stopped: Counter[str] = Counter()
    for score in scores:
        stopped.update(score.stopped)
    pooled = replace(
        scores[0],
        unparsed=sum(score.unparsed for score in scores),
        missing=sum(score.missing for score in scores),
        stopped=dict(sorted(stopped.items())),
        grades=tuple(grade for score in scores for grade in score.grades),
        seeds=tuple(seed for score in scores for seed in score.seeds),
        statistics=np.concatenate([score.statistics for score in scores]),
    )
    return with_interval(pooled, resamples)


def join_sets(
    scores: Sequence[Score], counted: Sequence[Collection[str]], *, resamples: int = RESAMPLES
) -> Score | None:
    """The scores of one arm at one seed on several test sets as one: the mean over all questions,
    where every question weighs the same (micro-average). `counted`: for each set the ids of the
    questions that count. Answers that are unparsed or missing, and endings, are those of all sets.

    None where the sets have different metrics, or one that is no mean over questions."""
    names = {score.metric for score in scores}
    metric = METRICS[scores[0].metric]
    if len(names) > 1 or metric.aggregate is not mean or metric.nothing_counts:
        return None
    kept = [
        [place for place, id in enumerate(score.problem_ids) if id in ids]
        for score, ids in zip(scores, counted, strict=True)
    ]
    pairs = list(zip(scores, kept, strict=True))
    stopped: Counter[str] = Counter()
    for score in scores:
        stopped.update(score.stopped)
    joined = replace(
        scores[0],
        n=sum(map(len, kept)),
        unparsed=sum(score.unparsed for score in scores),
        missing=sum(score.missing for score in scores),
        stopped=dict(sorted(stopped.items())),
        grades=tuple(score.grades[place] for score, places in pairs for place in places),
        task="+".join(dict.fromkeys(score.task for score in scores)),
        dataset="",
        problem_ids=tuple(
            f"{number}/{score.problem_ids[place]}"
            for number, (score, places) in enumerate(pairs)
            for place in places
        ),
        statistics=np.concatenate([score.statistics[:, places] for score, places in pairs], axis=1),
    )
    return with_interval(joined, resamples)


def compare_scores(
    score: Score, baseline: Score, *, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Paired comparison on the same problems (and as many training seeds): score - baseline.

    Raises DataError where the two are not of the same metric and problems."""
    _check_comparable(baseline, score)
    if len(score.seeds) != len(baseline.seeds):
        raise DataError(
            f"Cannot pair {len(score.seeds)} seeds with {len(baseline.seeds)}; "
            "give both arms the same seeds."
        )
    metric = METRICS[score.metric]
    low, high, p_bootstrap = paired_bootstrap(
        baseline.statistics, score.statistics, metric.aggregate, seed=seed, resamples=resamples
    )
    p_mcnemar, only_score, only_baseline = None, 0, 0
    if metric.binary and len(score.seeds) == 1:
        right = score.statistics[0, :, 0] == 1.0
        baseline_right = baseline.statistics[0, :, 0] == 1.0
        only_score = int((right & ~baseline_right).sum())
        only_baseline = int((baseline_right & ~right).sum())
        p_mcnemar = mcnemar(only_score, only_baseline)
    return Comparison(
        difference=score.value - baseline.value,
        low=low,
        high=high,
        p_bootstrap=p_bootstrap,
        p_mcnemar=p_mcnemar,
        only_score=only_score,
        only_baseline=only_baseline,
        n=score.n,
    )


def _check_comparable(first: Score, second: Score) -> None:
    if first.metric != second.metric:
        raise DataError(
            f"Cannot compare {first.metric} with {second.metric}; grade both by the same metric."
        )
    if first.problem_ids != second.problem_ids:
        raise DataError(
            f"Cannot pair scores of different problems ({first.n} and {second.n}, or in another "
            "order); grade both against the same gold file."
        )
