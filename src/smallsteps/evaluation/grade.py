"""Predictions against gold answers → a score with its interval.

This is the only grader: what the command line prints, what chooses checkpoints and what tables hold
comes from here. A question without a prediction counts as wrong and is reported; no question is
left out without being counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smallsteps.errors import DataError
from smallsteps.evaluation.metrics import METRICS, Item, Setting, get_metric, mean
from smallsteps.evaluation.shares import share_interval
from smallsteps.evaluation.significance import RESAMPLES, Rows, bootstrap
from smallsteps.records import Grade, Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task


@dataclass(frozen=True)
class Score:
    """The value of a metric (0..100) with its 95 % interval and what made it."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    """Questions (reports) that the value is over."""
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
        if abs(above - below) < 0.5:
            return f"± {(above + below) / 2:.1f}"
        return f"[{self.low:.1f}, {self.high:.1f}]"

    def signature(self) -> str:
        """The value with all that is needed to read it:
        `acc = 41.2 ± 2.7 | task:gsm8k/test | n:1319 | ...`."""
        from smallsteps import __version__

        short = METRICS[self.metric].short
        parts = [
            f"{short} = {self.value:.1f} {self.interval}",
            f"task:{self.task}/{self.dataset}" if self.dataset else f"task:{self.task}",
            f"n:{self.n}",
            f"unparsed:{self.unparsed}",
        ]
        parts += [f"missing:{self.missing}"] if self.missing else []
        parts += [f"left_out:{self.left_out}"] if self.left_out else []
        parts += [f"decode:{self.decode}"]
        parts += [f"seed:{','.join(str(seed) for seed in self.seeds)}"] if self.seeds else []
        parts += [f"{short}:{self.note}"] if self.note else []
        return " | ".join([*parts, f"smallsteps:{__version__}"])

    def to_row(self) -> dict[str, Any]:
        """The score as a JSON object, without its grades. `seed` is a list where several seeds are
        pooled, None where it is not known."""
        seed: int | list[int] | None = list(self.seeds)
        if len(self.seeds) <= 1:
            seed = self.seeds[0] if self.seeds else None
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
            "seed": seed,
            "signature": self.signature(),
        }


def grade(
    predictions: Sequence[Prediction],
    problems: Sequence[Problem],
    task: Task | str,
    *,
    dataset: str = "",
    decode: str = "greedy",
    seed: int | None = 0,
    metric: str | None = None,
    references: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
) -> Score:
    """The score of `predictions` (one per problem) for `problems`, by the task's metric unless
    `metric` names another.

    BLEU, ROUGE-L and missing ratio compare the answers that were read off. With `references`
    (problem id -> text) they compare whole predictions with these, as the paper's BLEU of chains
    does. `seed` is the training seed, for the signature; None where it is not known. The interval's
    bootstrap always draws from seed 0, so that equal predictions give equal intervals. A task made
    of parts (regions of a report) has its predictions assembled first, unless they are of wholes,
    and `n` counts the wholes.

    Raises DataError where there are no problems, or a prediction is for no problem or for one that
    already has one; RecipeError on an unknown metric."""
    task = get_task(task)
    chosen = get_metric(metric or task.metric)
    if not problems:
        raise DataError("There are no problems to grade against: the gold file is empty.")
    wholes = list(problems) if task.wholes is None else task.wholes(problems)
    predictions_of_wholes, missing = _align_with_wholes(predictions, problems, wholes, task)
    grades = tuple(
        task.grade(prediction, problem)
        for prediction, problem in zip(predictions_of_wholes, wholes, strict=True)
    )
    unparsed = sum(
        not verdict.parsed and prediction.author != _MISSING
        for verdict, prediction in zip(grades, predictions_of_wholes, strict=True)
    )
    setting = Setting(task.language, task.meta.get("finder"))
    if references is None:
        items = _answer_items(grades, wholes, task)
    else:
        items = _text_items(predictions_of_wholes, grades, references)
    statistics = chosen.statistics(items, setting)
    counted = int(statistics[:, 1].sum()) if chosen.nothing_counts else len(wholes)
    score = Score(
        metric=chosen.name,
        value=0.0,
        low=0.0,
        high=0.0,
        n=counted,
        unparsed=unparsed,
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
        statistics=statistics[None],
    )
    return with_interval(score, resamples)


def with_interval(score: Score, resamples: int) -> Score:
    """The score with its value and interval, both computed from its statistics.

    Raises DataError where no question counts."""
    metric = METRICS[score.metric]
    if not score.n:
        raise DataError(metric.nothing_counts)
    value = float(metric.aggregate(score.statistics.sum(axis=(0, 1))))
    if metric.aggregate is mean:
        low, high = share_interval(score.statistics, resamples)
    else:
        low, high = bootstrap(score.statistics, metric.aggregate, resamples=resamples)
    return replace(score, value=value, low=low, high=high)


_MISSING = "smallsteps/missing"
"""Author of the empty prediction that stands in for a missing one."""


def _align_with_wholes(
    predictions: Sequence[Prediction],
    problems: Sequence[Problem],
    wholes: Sequence[Problem],
    task: Task,
) -> tuple[list[Prediction], int]:
    """A prediction for each whole, in order, and how many predictions are missing."""
    whole_ids = {problem.id for problem in wholes}
    of_wholes = any(prediction.problem_id in whole_ids for prediction in predictions)
    aligned, missing = _align(predictions, wholes if of_wholes else problems)
    if task.assemble is not None:
        aligned, _ = _align(task.assemble(problems, aligned), wholes)
    return aligned, missing


def _align(
    predictions: Sequence[Prediction], problems: Sequence[Problem]
) -> tuple[list[Prediction], int]:
    """A prediction for each problem, in the order of the problems, and how many stand-ins for
    missing ones are among them."""
    counts = Counter(problem.id for problem in problems)
    repeated = next((id for id, count in counts.items() if count > 1), None)
    if repeated is not None:
        raise DataError(f"{repeated}: two problems have this id. Give every problem its own.")
    by_problem: dict[str, Prediction] = {}
    for prediction in predictions:
        if prediction.problem_id not in counts:
            raise DataError(
                f"{prediction.id}: predicts problem {prediction.problem_id!r}, which is not among "
                f"the {len(counts)} gold problems. Grade against the file that was solved."
            )
        if prediction.problem_id in by_problem:
            raise DataError(
                f"{prediction.id}: a second prediction for problem {prediction.problem_id!r}, "
                f"after {by_problem[prediction.problem_id].id}. Keep one for each problem."
            )
        by_problem[prediction.problem_id] = prediction
    aligned = [by_problem.get(problem.id) or _stand_in(problem) for problem in problems]
    return aligned, len(problems) - len(by_problem)


def _stand_in(problem: Problem) -> Prediction:
    return Prediction(
        f"{problem.id}/missing",
        problem.id,
        text="",
        segments=(),
        answer=None,
        stopped="empty",
        author=_MISSING,
    )


def _answer_items(grades: Sequence[Grade], problems: Sequence[Problem], task: Task) -> list[Item]:
    """Answers beside gold answers and all that are accepted."""
    return [
        Item(verdict.answer or "", verdict.gold or "", verdict.value, task.golds(problem)[1:])
        for verdict, problem in zip(grades, problems, strict=True)
    ]


def _text_items(
    predictions: Sequence[Prediction], grades: Sequence[Grade], references: Mapping[str, str]
) -> list[Item]:
    """Whole predictions beside their references."""
    items = []
    for prediction, verdict in zip(predictions, grades, strict=True):
        if prediction.problem_id not in references:
            raise DataError(
                f"{prediction.problem_id}: no reference text to compare with. "
                "Give one for each problem."
            )
        items.append(Item(prediction.text, references[prediction.problem_id], verdict.value))
    return items
