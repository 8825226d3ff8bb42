"""Figures: equal to sacrebleu's and rouge-score's, hypotheses and references the right way
round."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.metrics import (
    METRICS,
    Item,
    Metric,
    Setting,
    accuracy,
    bleu,
    bleu_note,
    get_metric,
    mean_over_items,
    metric_name,
    missing_ratio,
    rouge_l,
)

HYPOTHESES = ["Ann has 12 pens.", "", "She gives away 5 pens, so 7 are left now."]
REFERENCES = [
    "Ann has 12 pens in all.",
    "It is 3.",
    "She gives away 5 pens, so 12 - 5 = 7 are left.",
]
CHINESE = ["肝右叶低密度结节，代谢增高。", "双肺未见异常。"]
CHINESE_GOLD = ["肝右叶多发低密度结节，代谢异常增高。", "两肺未见明显异常。"]


def test_bleu_is_sacrebleu_s_with_hypotheses_first() -> None:
    assert bleu(HYPOTHESES, REFERENCES) == pytest.approx(
        sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    )
    assert bleu(HYPOTHESES, REFERENCES) != pytest.approx(bleu(REFERENCES, HYPOTHESES))


def test_bleu_of_chinese_is_sacrebleu_s_zh() -> None:
    expected = sacrebleu.corpus_bleu(CHINESE, [CHINESE_GOLD], tokenize="zh").score
    assert bleu(CHINESE, CHINESE_GOLD, "zh") == pytest.approx(expected)
    assert bleu(CHINESE, CHINESE_GOLD, "zh") != pytest.approx(bleu(CHINESE, CHINESE_GOLD))


def test_bleu_without_a_common_four_gram_is_smoothed_as_sacrebleu_does() -> None:
    hypotheses, references = ["Ann has some pens."], ["Ann has 3 pens."]
    assert bleu(hypotheses, references) == pytest.approx(
        sacrebleu.corpus_bleu(hypotheses, [references]).score
    )
    assert bleu(hypotheses, references) > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bleu_note_is_sacrebleu_s_own_signature(language: str) -> None:
    metric = BLEU(tokenize="zh" if language == "zh" else "13a")
    metric.corpus_score(["a"], [["a"]])
    assert bleu_note(Setting(language)) == str(metric.get_signature()).replace("|", ",")


def test_bleu_of_resamples_equals_bleu_of_the_drawn_sentences() -> None:
    metric = METRICS["bleu"]
    items = [Item(h, r, 0.0) for h, r in zip(HYPOTHESES, REFERENCES, strict=True)]
    rows = metric.statistics(items, Setting())
    draws = [[0, 0, 2], [2, 1, 0]]
    theirs = [
        sacrebleu.corpus_bleu([HYPOTHESES[i] for i in d], [[REFERENCES[i] for i in d]]).score
        for d in draws
    ]
    assert metric.aggregate(np.stack([rows[d].sum(axis=0) for d in draws])) == pytest.approx(theirs)


def test_rouge_l_is_the_mean_of_rouge_score_s() -> None:
    scorer = RougeScorer(["rougeL"])
    theirs = [
        scorer.score(r, h)["rougeL"].fmeasure for h, r in zip(HYPOTHESES, REFERENCES, strict=True)
    ]
    assert rouge_l(HYPOTHESES, REFERENCES) == pytest.approx(100 * sum(theirs) / 3)


def test_accuracy_is_per_cent() -> None:
    assert accuracy([1.0, 0.0, 0.0, 1.0, 1.0]) == 60.0


def find(text: str) -> set[str]:
    return {word for word in ("肝", "肺", "骨") if word in text}


def test_missing_ratio_by_hand_counts_what_gold_names_and_the_text_does_not() -> None:
    hypotheses, references = ["肝", "骨和肺", "肺"], ["肝、肺", "肺", "无"]
    found = missing_ratio(hypotheses, references, find)
    assert found == (
        pytest.approx(100 * (1 / 2 + 0) / 2),
        2,
        1,
    )  # naming more than gold costs nothing


def test_missing_ratio_of_reports_that_name_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="nothing that could be missing: no gold report names"):
        missing_ratio(["肝"], ["无"], find)


def test_messages() -> None:
    with pytest.raises(DataError, match="2 hypotheses beside 1 references"):
        bleu(["a", "b"], ["a"])
    with pytest.raises(DataError, match="nothing to compute accuracy from"):
        accuracy([])


def test_a_mean_leaves_out_questions_without_a_score() -> None:
    items = [Item("a", "a", 1.0), Item("", "b", 0.0), Item("c", "x", 0.0)]
    metric = Metric(
        "letters",
        "ltr",
        mean_over_items(lambda item, _: float(item.value) if item.hypothesis else None),
        nothing_counts="no letters",
    )
    rows = metric.statistics(items, Setting())
    assert rows.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]
    assert metric.aggregate(rows.sum(axis=0)) == pytest.approx(50.0)


def test_titles_are_read_off_the_entry_and_unknown_metrics_keep_their_name() -> None:
    assert [metric_name(name) for name in METRICS] == [
        "accuracy",
        "exact match",
        "F1",
        "inclusion",
        "BLEU",
        "ROUGE-L",
        "missing ratio",
    ]
    assert metric_name("own_metric") == "own_metric"
    assert [name for name, metric in METRICS.items() if metric.lower_is_better] == ["missing_ratio"]


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match=r"no metric 'acuracy'\. Did you mean 'accuracy'\?"):
        get_metric("acuracy")
