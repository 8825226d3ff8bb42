"""ROUGE-L against rouge-score and against the textbook dynamic programme."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from smallsteps.evaluation.overlap import common_length, rouge_l, words

SCORER = RougeScorer(["rougeL"])


def slow_length(first: str, second: str) -> int:
    rows = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            rows[i + 1][j + 1] = rows[i][j] + 1 if a == b else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@given(st.text(alphabet="abc", max_size=80), st.text(alphabet="abc", max_size=80))
def test_bits_give_the_length_of_the_dynamic_programme(first: str, second: str) -> None:
    assert common_length(first, second) == slow_length(first, second)


ASCII = st.text(alphabet="abAB 3.,-_$'\n", max_size=40)


@given(ASCII, ASCII)
def test_english_equals_rouge_score(hypothesis: str, reference: str) -> None:
    theirs = SCORER.score(reference, hypothesis)["rougeL"]
    assert rouge_l(hypothesis, reference) == pytest.approx(
        (theirs.precision, theirs.recall, theirs.fmeasure)
    )


def test_letters_outside_a_to_z_are_words_too() -> None:
    assert words("Où est l'été?") == ["où", "est", "l", "été"]


def test_chinese_goes_by_character_without_white_space() -> None:
    assert words("肝 右叶。", "zh") == ["肝", "右", "叶", "。"]
    assert rouge_l("肝右叶", "肝左叶结节", "zh") == pytest.approx((2 / 3, 2 / 5, 0.5))


def test_nothing_in_common_is_zero_and_no_division_by_zero() -> None:
    assert rouge_l("", "a") == rouge_l("a", "") == rouge_l("!", "?") == (0.0, 0.0, 0.0)
