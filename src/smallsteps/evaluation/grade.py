"""Predictions against gold answers → a score with its interval, and two scores against each other.

The one grader: what the command line prints, what chooses checkpoints and what the tables hold
comes from here. A question without a prediction counts as wrong and is reported; nothing is left
out in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.evaluation.metrics import METRICS, Item, Metric, Setting
from smallsteps.evaluation.significance import (
    RESAMPLES,
    Rows,
    all_alike_bound,
    bootstrap,
    mcnemar,
    paired_bootstrap,
)
from smallsteps.records import Grade, Prediction, Problem
from smallsteps.tasks.base import Task


@dataclass(frozen=True)
class Score:
    """A figure between 0 and 100 with its 95 % interval and what made it."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    """Questions (reports) that the figure is over."""
    unparsed: int
    """Predictions that no answer could be read off; they count as wrong."""
    missing: int
    """Problems without any prediction; they count as wrong."""
    left_out: int
    """`missing_ratio` only: reports whose gold text names no region, which `n` does not count."""
    stopped: Mapping[str, int]
    """How the chains ended: stop_sign, end, limit, empty -> count."""
    grades: tuple[Grade, ...]
    """One for each problem, in the order of the problems (several seeds: one seed after the
    other)."""
    task: str
    dataset: str
    decode: str
    seeds: tuple[int, ...]
    """Of training; empty where they are not known."""
    note: str = ""
    """The variant of the metric, where it has variants (BLEU)."""
    problem_ids: tuple[str, ...] = ()
    statistics: Rows = field(default_factory=lambda: np.zeros((0, 0, 0)), repr=False, compare=False)
    """(seeds, problems, columns): what intervals and paired tests resample."""

    @property
    def interval(self) -> str:
        """`± 2.7`, or `[0.0, 7.1]` where the two sides differ by half a point or more (values near
        0 or 100)."""
        below, above = self.value - self.low, self.high - self.value
        return (
            f"± {(above + below) / 2:.1f}"
            if abs(above - below) < 0.5
            else f"[{self.low:.1f}, {self.high:.1f}]"
        )

    def signature(self) -> str:
        """The figure with all that is needed to read it: `acc = 41.2 ± 2.7 | task:gsm8k/test |
        n:1319 | ...`."""
        from smallsteps import __version__

        parts = [
            f"{METRICS[self.metric].short} = {self.value:.1f} {self.interval}",
            f"task:{self.task}/{self.dataset}" if self.dataset else f"task:{self.task}",
            f"n:{self.n}",
            f"unparsed:{self.unparsed}",
        ]
        parts += [f"missing:{self.missing}"] if self.missing else []
        parts += [f"left_out:{self.left_out}"] if self.left_out else []
        parts += [f"decode:{self.decode}"]
        parts += [f"seed:{','.join(str(seed) for seed in self.seeds)}"] if self.seeds else []
        parts += [f"{METRICS[self.metric].short}:{self.note}"] if self.note else []
        return " | ".join([*parts, f"smallsteps:{__version__}"])

    def to_row(self) -> dict[str, Any]:
        """The score as a JSON object, without its grades; `seed` is a list where several seeds are
        pooled, None where it is not known."""
        return {
            "task": self.task,
            "dataset": self.dataset,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "unparsed": self.unparsed,
            "missing": self.missing,
            "left_out": self.left_out,
            "stopped": dict(self.stopped),
            "decode": self.decode,
            "seed": None
            if not self.seeds
            else self.seeds[0]
            if len(self.seeds) == 1
            else list(self.seeds),
            "signature": self.signature(),
        }


@dataclass(frozen=True)
class Comparison:
    """The difference of two scores on the same questions: score - baseline, in points."""

    difference: float
    low: float
    high: float
    p_bootstrap: float
    """Two-sided, paired over questions (and seeds)."""
    p_mcnemar: float | None
    """Exact McNemar test; None where answers are not right or wrong (BLEU) or several seeds are
    pooled."""
    only_score: int
    """Questions that only the first arm got right (0 where McNemar does not apply)."""
    only_baseline: int
    n: int

    def __str__(self) -> str:
        test = "" if self.p_mcnemar is None else f", McNemar p = {self.p_mcnemar:.3f}"
        return (
            f"{self.difference:+.1f} [{self.low:+.1f}, {self.high:+.1f}], "
            f"bootstrap p = {self.p_bootstrap:.3f}{test}, n = {self.n}"
        )


def grade(
    predictions: Sequence[Prediction],
    problems: Sequence[Problem],
    task: Task,
    *,
    dataset: str = "",
    decode: str = "greedy",
    seed: int | None = 0,
    metric: str | None = None,
    references: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
) -> Score:
    """The score of `predictions` (one a problem) for `problems`, by the task's metric unless
    `metric` names another.

    BLEU, ROUGE-L and missing ratio compare the answers read off; with `references` (problem id ->
    text) they compare whole predictions with these, as the paper's BLEU of chains does. `seed` is
    the training seed, for the signature, None where it is not known; the interval's bootstrap
    always draws from 0, so that equal predictions give equal intervals. A task made of parts
    (regions of a report) has its predictions assembled first, unless they are of wholes, and `n`
    counts the wholes.

    Raises DataError where there are no problems, or a prediction is for no problem or for one that
    already has one; RecipeError on an unknown metric."""
    chosen = get_metric(metric or task.metric)
    if not problems:
        raise DataError("There are no problems to grade against: the gold file is empty.")
    wholes = list(problems) if task.wholes is None else task.wholes(problems)
    whole_ids = {problem.id for problem in wholes}
    asked = (
        wholes
        if any(prediction.problem_id in whole_ids for prediction in predictions)
        else problems
    )
    given, missing = _one_each(predictions, asked)
    if task.assemble is not None:
        given, _ = _one_each(task.assemble(problems, given), wholes)
    grades = tuple(task.grade(*pair) for pair in zip(given, wholes, strict=True))
    setting = Setting(task.language, task.meta.get("finder"))
    accepted = [task.golds(problem)[1:] for problem in wholes]
    statistics = chosen.statistics(_graded_items(given, grades, references, accepted), setting)[
        None
    ]
    counted = int(statistics[0, :, 1].sum()) if chosen.name == "missing_ratio" else len(wholes)
    return _with_interval(
        Score(
            metric=chosen.name,
            value=0.0,
            low=0.0,
            high=0.0,
            n=counted,
            unparsed=sum(
                not own.parsed and not _stand_in(prediction)
                for own, prediction in zip(grades, given, strict=True)
            ),
            missing=missing,
            left_out=len(wholes) - counted,
            stopped=dict(sorted(Counter(prediction.stopped for prediction in predictions).items())),
            grades=grades,
            task=task.name,
            dataset=dataset,
            decode=decode,
            seeds=() if seed is None else (seed,),
            note=chosen.note(setting) if chosen.note else "",
            problem_ids=tuple(problem.id for problem in wholes),
            statistics=statistics,
        ),
        resamples,
    )


def pool_scores(scores: Sequence[Score], *, resamples: int = RESAMPLES) -> Score:
    """Several seeds of one arm as one score: the figure over all, its interval over questions x
    seeds.

    Raises DataError where the scores are not of the same metric and problems.
    """
    if not scores:
        raise DataError("There are no scores to pool.")
    for score in scores[1:]:
        _check_comparable(scores[0], score)
    stopped: Counter[str] = Counter()
    for score in scores:
        stopped.update(score.stopped)
    return _with_interval(
        replace(
            scores[0],
            unparsed=sum(score.unparsed for score in scores),
            missing=sum(score.missing for score in scores),
            stopped=dict(sorted(stopped.items())),
            grades=tuple(own for score in scores for own in score.grades),
            seeds=tuple(seed for score in scores for seed in score.seeds),
            statistics=np.concatenate([score.statistics for score in scores]),
        ),
        resamples,
    )


def compare_scores(
    score: Score, baseline: Score, *, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Paired comparison on the same problems (and as many training seeds): score - baseline.

    Raises DataError where the two are not of the same metric and problems.
    """
    _check_comparable(baseline, score)
    if len(score.seeds) != len(baseline.seeds):
        raise DataError(
            f"Cannot pair {len(score.seeds)} seeds with {len(baseline.seeds)}; give both arms the same seeds."
        )
    metric = METRICS[score.metric]
    low, high, p = paired_bootstrap(
        baseline.statistics, score.statistics, metric.aggregate, seed=seed, resamples=resamples
    )
    p_mcnemar, only_score, only_baseline = None, 0, 0
    if metric.binary and len(score.seeds) == 1:
        ours, theirs = (one.statistics[0, :, 0] == 1.0 for one in (score, baseline))
        only_score, only_baseline = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        p_mcnemar = mcnemar(only_score, only_baseline)
    return Comparison(
        score.value - baseline.value, low, high, p, p_mcnemar, only_score, only_baseline, score.n
    )


def get_metric(name: str) -> Metric:
    """The metric of that name; raises RecipeError, with the nearest one."""
    if name not in METRICS:
        raise RecipeError(f"There is no metric {name!r}.{nearest(name, METRICS)}")
    return METRICS[name]


_MISSING = "smallsteps/missing"
"""Author of the empty prediction that stands in for one that is not there."""


def _stand_in(prediction: Prediction) -> bool:
    return prediction.author == _MISSING


def _one_each(
    predictions: Sequence[Prediction], problems: Sequence[Problem]
) -> tuple[list[Prediction], int]:
    """A prediction for each problem, in the order of the problems, and how many had to be made
    up."""
    known = {problem.id for problem in problems}
    if len(known) != len(problems):
        twice = next(
            id for id, count in Counter(problem.id for problem in problems).items() if count > 1
        )
        raise DataError(f"{twice}: two problems have this id. Give every problem its own.")
    by_problem: dict[str, Prediction] = {}
    for prediction in predictions:
        if prediction.problem_id not in known:
            raise DataError(
                f"{prediction.id}: predicts problem {prediction.problem_id!r}, which is not among the {len(known)} "
                f"gold problems. Grade against the file that was solved."
            )
        if prediction.problem_id in by_problem:
            raise DataError(
                f"{prediction.id}: a second prediction for problem {prediction.problem_id!r}, after "
                f"{by_problem[prediction.problem_id].id}. Keep one for each problem."
            )
        by_problem[prediction.problem_id] = prediction
    full = [by_problem.get(problem.id) or _nothing(problem) for problem in problems]
    return full, len(problems) - len(by_problem)


def _nothing(problem: Problem) -> Prediction:
    return Prediction(
        f"{problem.id}/missing",
        problem.id,
        text="",
        segments=(),
        answer=None,
        stopped="empty",
        author=_MISSING,
    )


def _graded_items(
    predictions: Sequence[Prediction],
    grades: Sequence[Grade],
    references: Mapping[str, str] | None,
    accepted: Sequence[tuple[str, ...]],
) -> list[Item]:
    if references is None:
        return [
            Item(own.answer or "", own.gold or "", own.value, others)
            for own, others in zip(grades, accepted, strict=True)
        ]
    items = []
    for prediction, own in zip(predictions, grades, strict=True):
        if prediction.problem_id not in references:
            raise DataError(
                f"{prediction.problem_id}: no reference text to compare with. Give one for each problem."
            )
        items.append(Item(prediction.text, references[prediction.problem_id], own.value))
    return items


def _with_interval(score: Score, resamples: int) -> Score:
    """The score with its figure and interval, from its statistics."""
    metric = METRICS[score.metric]
    if not score.n:
        raise DataError(
            f"There is nothing to compute {score.metric} from: no gold report names a region or organ."
        )
    value = float(metric.aggregate(score.statistics.sum(axis=(0, 1))))
    low, high = bootstrap(score.statistics, metric.aggregate, resamples=resamples)
    if metric.binary and value in (0.0, 100.0):  # equal verdicts resample to themselves
        bound = 100 * all_alike_bound(score.n)
        low, high = (0.0, bound) if value == 0.0 else (100.0 - bound, 100.0)
    return replace(score, value=value, low=low, high=high)


def _check_comparable(first: Score, second: Score) -> None:
    if first.metric != second.metric:
        raise DataError(
            f"Cannot compare {first.metric} with {second.metric}; grade both by the same metric."
        )
    if first.problem_ids != second.problem_ids:
        raise DataError(
            f"Cannot pair scores of different problems ({first.n} and {second.n}, or in another order); grade both "
            f"against the same gold file."
        )
