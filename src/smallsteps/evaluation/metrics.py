"""The metrics of answers, chains and reports, all from 0 to 100.

A metric is two functions. One turns each question into a row of sufficient statistics, the other
turns the sum of the rows into the metric's value. So a value, its bootstrap interval and a paired
test come from one code (`significance.py`). Most metrics are means over questions: they need one
function of a question (`mean_over_items`).

Hypotheses are what a student wrote, references are the gold texts, always in this order. The
authors' code of AS-ES calls BLEU with the two swapped, and BLEU is not symmetric.

To add a metric, write a function and add one line to `METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.evaluation import overlap
from smallsteps.evaluation.significance import Rows
from smallsteps.tasks import multihop
from smallsteps.tasks.languages import LANGUAGES

Finder = Callable[[str], Collection[str]]
"""The regions and organs that a report's text names, found by keyword."""


class Item(NamedTuple):
    """What a metric may look at for one question."""

    hypothesis: str
    """Empty where the student gave nothing."""
    reference: str
    value: float
    """`Grade.value`, 0..1."""
    accepted: tuple[str, ...] = ()
    """Further references. Metrics that know of them take the best one."""


class Setting(NamedTuple):
    """What a metric needs to know about a task."""

    language: str = "en"
    finder: Finder | None = None


ItemScore = Callable[[Item, Setting], float | None]
"""The score (0..1) of one question; None: the question is left out of the mean."""


def mean(sums: Rows) -> NDArray[np.float64]:
    """Sums of (score, 1) (..., 2) → per cent (...). 0 where no question counts, as may happen in a
    resample."""
    return 100 * sums[..., 0] / np.maximum(sums[..., 1], 1e-300)


def mean_over_items(score: ItemScore) -> Callable[[Sequence[Item], Setting], Rows]:
    """The statistics of a metric that is a mean: rows of (score, 1), (0, 0) where left out."""

    def statistics(items: Sequence[Item], setting: Setting) -> Rows:
        scores = [score(item, setting) for item in items]
        return np.array([[0.0, 0.0] if value is None else [value, 1.0] for value in scores])

    return statistics


@dataclass(frozen=True)
class Metric:
    """One metric: rows of statistics, one per question, and the value of their sum."""

    name: str
    short: str
    """Its name in a signature."""
    statistics: Callable[[Sequence[Item], Setting], Rows]
    """Items -> (items, columns)."""
    aggregate: Callable[[Rows], NDArray[np.float64]] = mean
    """Sums of rows (..., columns) -> values (...)."""
    title: str = ""
    """Its name in tables; empty: `name` with spaces."""
    lower_is_better: bool = False
    binary: bool = False
    """Whether each question is right or wrong, so that McNemar's test applies."""
    note: Callable[[Setting], str] | None = None
    """What the signature adds: the variant of the metric."""
    nothing_counts: str = ""
    """The message where all questions are left out; empty: the metric leaves none out."""


def get_metric(name: str) -> Metric:
    """The metric of that name. Raises RecipeError, with the nearest name."""
    if name not in METRICS:
        raise RecipeError(f"There is no metric {name!r}.{nearest(name, METRICS)}")
    return METRICS[name]


def metric_name(name: str) -> str:
    """The metric's name in tables; an unknown name stays as it is.

    >>> metric_name("exact_match"), metric_name("bleu"), metric_name("other")
    ('exact match', 'BLEU', 'other')
    """
    metric = METRICS.get(name)
    return (metric.title or metric.name.replace("_", " ")) if metric is not None else name


# ---- single values ----


def accuracy(values: Sequence[float]) -> float:
    """Per cent of questions answered right; `values` are `Grade.value`, 0..1. Raises DataError
    where there are none."""
    return _value("accuracy", [Item("", "", value) for value in values], Setting())


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str = "en") -> float:
    """Corpus BLEU (0..100) as sacrebleu computes it, with the tokeniser of the language: `13a` for
    English, `zh` for Chinese."""
    return _value("bleu", _items(hypotheses, references), Setting(language))


def rouge_l(hypotheses: Sequence[str], references: Sequence[str], language: str = "en") -> float:
    """Mean ROUGE-L F1 (0..100), by word, or by character for Chinese."""
    return _value("rouge_l", _items(hypotheses, references), Setting(language))


class MissingRatio(NamedTuple):
    """How much of what the gold reports name is missing."""

    value: float
    """Per cent of the gold text's regions and organs that the generated text does not name, mean
    over reports."""
    n: int
    left_out: int
    """Reports whose gold text names no region; they are not in the mean."""


def missing_ratio(
    hypotheses: Sequence[str], references: Sequence[str], finder: Finder
) -> MissingRatio:
    """MR = 1/N sum |R_GT minus R_GR| / |R_GT| (AS-ES, Eq. 10), in per cent; lower is better.

    Raises DataError where no reference names anything."""
    items, setting = _items(hypotheses, references), Setting(finder=finder)
    metric = METRICS["missing_ratio"]
    n = int(metric.statistics(items, setting)[:, 1].sum())
    if not n:
        raise DataError(metric.nothing_counts)
    return MissingRatio(_value("missing_ratio", items, setting), n, len(items) - n)


def _items(hypotheses: Sequence[str], references: Sequence[str]) -> list[Item]:
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses)} hypotheses beside {len(references)} references; "
            "expected one for one."
        )
    return [Item(*pair, 0.0) for pair in zip(hypotheses, references, strict=True)]


def _value(name: str, items: Sequence[Item], setting: Setting) -> float:
    if not items:
        raise DataError(f"There is nothing to compute {name} from: no predictions.")
    metric = METRICS[name]
    return float(metric.aggregate(metric.statistics(items, setting).sum(axis=0)))


# ---- scores of one question ----


def _best(score: Callable[[str | None, str], float]) -> ItemScore:
    """The score against the best reference. An empty hypothesis is no answer."""

    def best_score(item: Item, setting: Setting) -> float:
        answer = item.hypothesis or None
        return max(float(score(answer, gold)) for gold in (item.reference, *item.accepted))

    return best_score


def _right(item: Item, setting: Setting) -> float:
    return item.value


def _rouge_l(item: Item, setting: Setting) -> float:
    return overlap.rouge_l(item.hypothesis, item.reference, setting.language).f1


def _missing(item: Item, setting: Setting) -> float | None:
    if setting.finder is None:
        raise DataError(
            "Metric missing_ratio needs to know how regions are found, "
            "and this task does not say. Use the task pet."
        )
    gold = set(setting.finder(item.reference))
    missed = gold - set(setting.finder(item.hypothesis))
    return len(missed) / len(gold) if gold else None


# ---- BLEU ----


def _bleu_statistics(items: Sequence[Item], setting: Setting) -> Rows:
    """Length of hypothesis and reference, matches and totals of 1- to 4-grams: ten columns."""
    from sacrebleu.metrics.bleu import BLEU

    # Effective order changes a sentence's score, not its counts. Without it sacrebleu warns at
    # every sentence.
    metric = BLEU(tokenize=LANGUAGES[setting.language].tokenizer, effective_order=True)
    rows = []
    for item in items:
        score = metric.sentence_score(item.hypothesis, [item.reference])
        rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    return np.array(rows, dtype=np.float64)


def _bleu_value(sums: Rows) -> NDArray[np.float64]:
    from sacrebleu.metrics.bleu import BLEU

    values = [
        BLEU.compute_bleu(
            correct=[int(count) for count in row[2:6]],
            total=[int(count) for count in row[6:]],
            sys_len=int(row[0]),
            ref_len=int(row[1]),
            smooth_method="exp",
        ).score
        for row in sums.reshape(-1, 10)
    ]
    return np.array(values).reshape(sums.shape[:-1])


def bleu_note(setting: Setting) -> str:
    """sacrebleu's own signature, comma-separated:
    `nrefs:1,case:mixed,eff:no,tok:13a,smooth:exp,version:2.6.0`."""
    import sacrebleu

    tokenizer = LANGUAGES[setting.language].tokenizer
    version = sacrebleu.__version__
    return f"nrefs:1,case:mixed,eff:no,tok:{tokenizer},smooth:exp,version:{version}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "acc", mean_over_items(_right), binary=True),
        Metric("exact_match", "em", mean_over_items(_best(multihop.exact_match)), binary=True),
        Metric("f1", "f1", mean_over_items(_best(multihop.f1)), title="F1"),
        Metric("inclusion", "incl", mean_over_items(_best(multihop.inclusion)), binary=True),
        Metric("bleu", "bleu", _bleu_statistics, _bleu_value, title="BLEU", note=bleu_note),
        Metric("rouge_l", "rouge_l", mean_over_items(_rouge_l), title="ROUGE-L"),
        Metric(
            "missing_ratio",
            "mr",
            mean_over_items(_missing),
            lower_is_better=True,
            nothing_counts="There is nothing that could be missing: "
            "no gold report names a region or organ.",
        ),
    )
}
"""Every metric by its name."""
