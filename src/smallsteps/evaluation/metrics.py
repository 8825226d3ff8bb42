"""The figures that answers and reports are measured by, all from 0 to 100.

A metric is two functions: one turns each question into a row of sufficient statistics, the other
turns their sum into the figure. So a figure, its bootstrap interval and a paired test come from one
code (`significance.py`). To add a metric, write the two and add a line to `METRICS`.

Hypotheses are what a student wrote, references the gold texts, always in this order: the authors'
code calls BLEU with the two swapped, and BLEU is not symmetric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smallsteps.errors import DataError
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
    """Further references; the best one counts, where a metric knows of them."""


class Setting(NamedTuple):
    """What a metric needs to know about a task."""

    language: str = "en"
    finder: Finder | None = None


@dataclass(frozen=True)
class Metric:
    """One figure, as the sum over questions of rows that `aggregate` understands."""

    name: str
    short: str
    """How its signature calls it."""
    statistics: Callable[[Sequence[Item], Setting], Rows]
    """Items -> (items, columns)."""
    aggregate: Callable[[Rows], NDArray[np.float64]]
    """Sums of rows (..., columns) -> figures (...)."""
    lower_is_better: bool = False
    binary: bool = False
    """Whether each question is right or wrong, so that McNemar's test applies."""
    note: Callable[[Setting], str] | None = None
    """What the signature adds: the variant of the metric."""


def accuracy(values: Sequence[float]) -> float:
    """Per cent of questions answered right; `values` are `Grade.value`, 0..1. Raises DataError
    where there is none."""
    return _figure("accuracy", [Item("", "", value) for value in values], Setting())


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str = "en") -> float:
    """Corpus BLEU (0..100) as sacrebleu computes it, with the tokeniser of the language: `13a` for
    English, `zh` for Chinese."""
    return _figure("bleu", _items(hypotheses, references), Setting(language))


def rouge_l(hypotheses: Sequence[str], references: Sequence[str], language: str = "en") -> float:
    """Mean ROUGE-L F1 (0..100), by word, or by character for Chinese."""
    return _figure("rouge_l", _items(hypotheses, references), Setting(language))


class MissingRatio(NamedTuple):
    value: float
    """Per cent of the gold text's regions and organs that the generated text does not name, mean
    over reports."""
    n: int
    left_out: int
    """Reports whose gold text names no region; they are not in the mean."""


def missing_ratio(
    hypotheses: Sequence[str], references: Sequence[str], finder: Finder
) -> MissingRatio:
    """MR = 1/N sum |R_GT minus R_GR| / |R_GT| (Eq. 10), in per cent; lower is better.

    Raises DataError where no reference names anything.
    """
    items, setting = _items(hypotheses, references), Setting(finder=finder)
    n = int(_missing_rows(items, setting)[:, 1].sum())
    if not n:
        raise DataError(
            "No gold report names a region or organ, so that there is nothing that could be missing."
        )
    return MissingRatio(_figure("missing_ratio", items, setting), n, len(items) - n)


def bleu_note(setting: Setting) -> str:
    """sacrebleu's own signature, comma-separated:
    `nrefs:1,case:mixed,eff:no,tok:13a,smooth:exp,version:2.6.0`."""
    import sacrebleu

    return f"nrefs:1,case:mixed,eff:no,tok:{_tokenizer(setting.language)},smooth:exp,version:{sacrebleu.__version__}"


def _tokenizer(language: str) -> str:
    return LANGUAGES[language].tokenizer


def _items(hypotheses: Sequence[str], references: Sequence[str]) -> list[Item]:
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses)} hypotheses beside {len(references)} references; expected one for one."
        )
    return [Item(*pair, 0.0) for pair in zip(hypotheses, references, strict=True)]


def _figure(name: str, items: Sequence[Item], setting: Setting) -> float:
    if not items:
        raise DataError(f"There is nothing to compute {name} from: no predictions.")
    metric = METRICS[name]
    return float(metric.aggregate(metric.statistics(items, setting).sum(axis=0)))


def _accuracy_rows(items: Sequence[Item], setting: Setting) -> Rows:
    return np.array([[item.value, 1.0] for item in items])


def _best_rows(score: Callable[[str | None, str], float], items: Sequence[Item]) -> Rows:
    """Against the best reference; what is empty was not read off and equals nothing."""
    return np.array(
        [
            [
                max(
                    float(score(item.hypothesis or None, gold))
                    for gold in (item.reference, *item.accepted)
                ),
                1.0,
            ]
            for item in items
        ]
    )


def _exact_rows(items: Sequence[Item], setting: Setting) -> Rows:
    return _best_rows(multihop.exact_match, items)


def _f1_rows(items: Sequence[Item], setting: Setting) -> Rows:
    return _best_rows(multihop.f1, items)


def _inclusion_rows(items: Sequence[Item], setting: Setting) -> Rows:
    return _best_rows(multihop.inclusion, items)


def _rouge_rows(items: Sequence[Item], setting: Setting) -> Rows:
    scores = [
        overlap.rouge_l(item.hypothesis, item.reference, setting.language).f1 for item in items
    ]
    return np.array([[score, 1.0] for score in scores])


def _missing_rows(items: Sequence[Item], setting: Setting) -> Rows:
    if setting.finder is None:
        raise DataError(
            "Metric missing_ratio needs to know how regions are found, and this task does not say. Use pet."
        )
    rows = []
    for item in items:
        gold = set(setting.finder(item.reference))
        missed = gold - set(setting.finder(item.hypothesis))
        rows.append([len(missed) / len(gold), 1.0] if gold else [0.0, 0.0])
    return np.array(rows)


def _mean(sums: Rows) -> NDArray[np.float64]:
    """Per cent; a resample that holds no counted item at all is given 0."""
    return 100 * sums[..., 0] / np.maximum(sums[..., 1], 1e-300)


def _bleu_rows(items: Sequence[Item], setting: Setting) -> Rows:
    """Length of hypothesis and reference, matches and totals of 1- to 4-grams: ten columns."""
    from sacrebleu.metrics.bleu import BLEU

    # Effective order changes a sentence's score, not its counts; without it sacrebleu warns at
    # every sentence.
    metric = BLEU(tokenize=_tokenizer(setting.language), effective_order=True)
    rows = []
    for item in items:
        score = metric.sentence_score(item.hypothesis, [item.reference])
        rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    return np.array(rows, dtype=np.float64)


def _bleu_aggregate(sums: Rows) -> NDArray[np.float64]:
    from sacrebleu.metrics.bleu import BLEU

    flat = sums.reshape(-1, 10)
    figures = [
        BLEU.compute_bleu(
            correct=[int(count) for count in row[2:6]],
            total=[int(count) for count in row[6:]],
            sys_len=int(row[0]),
            ref_len=int(row[1]),
            smooth_method="exp",
        ).score
        for row in flat
    ]
    return np.array(figures).reshape(sums.shape[:-1])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "acc", _accuracy_rows, _mean, binary=True),
        Metric("exact_match", "em", _exact_rows, _mean, binary=True),
        Metric("f1", "f1", _f1_rows, _mean),
        Metric("inclusion", "incl", _inclusion_rows, _mean, binary=True),
        Metric("bleu", "bleu", _bleu_rows, _bleu_aggregate, note=bleu_note),
        Metric("rouge_l", "rouge_l", _rouge_rows, _mean),
        Metric("missing_ratio", "mr", _missing_rows, _mean, lower_is_better=True),
    )
}
