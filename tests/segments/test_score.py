"""Scores: against sacrebleu and rouge-score, and tokens that find their sub-sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from smallsteps.errors import DataError
from smallsteps.records import Chain
from smallsteps.segments.score import bleu_scores, certainty_scores, reduce_tokens, rouge_scores
from smallsteps.segments.split import split
from smallsteps.tasks.base import Task

from .conftest import PIECES, QUESTION


def test_bleu_takes_the_sub_sentence_as_hypothesis_and_the_question_as_reference() -> None:
    ours = bleu_scores(QUESTION, PIECES)
    theirs = [sacrebleu.sentence_bleu(piece.strip(), [QUESTION]).score for piece in PIECES]
    swapped = [sacrebleu.sentence_bleu(QUESTION, [piece.strip()]).score for piece in PIECES]
    assert ours == pytest.approx(theirs)
    assert ours != pytest.approx(swapped)


def test_bleu_of_chinese_uses_the_zh_tokeniser() -> None:
    question, pieces = "小明有3个苹果，又买了5个。", ["小明有3个苹果，", "一共有8个。"]
    theirs = [sacrebleu.sentence_bleu(piece, [question], tokenize="zh").score for piece in pieces]
    assert bleu_scores(question, pieces, "zh") == pytest.approx(theirs)
    assert bleu_scores(question, pieces, "zh") != pytest.approx(bleu_scores(question, pieces, "en"))


def test_rouge_is_the_precision_of_the_sub_sentence() -> None:
    scorer = RougeScorer(["rougeL"])
    theirs = [scorer.score(QUESTION, piece)["rougeL"].precision for piece in PIECES]
    assert rouge_scores(QUESTION, PIECES) == pytest.approx(theirs)
    assert rouge_scores(QUESTION, PIECES)[0] == 1.0  # copied whole


def test_rouge_of_chinese_goes_by_character() -> None:
    assert rouge_scores("小明有3个苹果", ["小红有3个苹果"], "zh") == [pytest.approx(6 / 7)]


def test_a_word_s_token_that_holds_the_space_before_it_belongs_to_the_word() -> None:
    pieces = ["ab, ", "cd."]
    spans = [(0, 2), (2, 3), (3, 6), (6, 7), (7, 7)]  # "ab" "," " cd" "." end of sequence
    assert reduce_tokens(pieces, [1.0, 3.0, 5.0, 7.0, 100.0], spans) == [2.0, 6.0]
    assert reduce_tokens(pieces, [1.0, 3.0, 5.0, 7.0, 100.0], spans, "sum") == [4.0, 12.0]


def test_a_piece_without_tokens_gets_none_and_not_nan() -> None:
    assert reduce_tokens(["ab. ", "cd"], [2.0], [(0, 3)]) == [2.0, None]


@given(st.text(alphabet="ab ,.5，\n", min_size=1, max_size=40), st.data())
def test_no_token_is_lost_whatever_the_spans(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    spans = list(pairwise(cuts))
    totals = reduce_tokens(split(text), [1.0] * len(spans), spans, "sum")
    assert sum(total or 0 for total in totals) == len(spans)


@dataclass
class Tokens:
    entropy: list[float]
    loss: list[float]
    spans: list[tuple[int, int]]


def fake_scores(
    student: object, task: Task, pairs: list[tuple[str, str]], **_: object
) -> list[Tokens]:
    """A token a character; entropy = its place in the text given, loss = 1."""
    return [
        Tokens(
            [float(i) for i in range(len(text))],
            [1.0] * len(text),
            [(i, i + 1) for i in range(len(text))],
        )
        for _, text in pairs
    ]


def stand_in(monkeypatch: pytest.MonkeyPatch, token_scores: Callable[..., list[Tokens]]) -> None:
    monkeypatch.setitem(
        sys.modules, "smallsteps.students.scores", SimpleNamespace(token_scores=token_scores)
    )


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, fake_scores)


@pytest.mark.usefixtures("scored")
def test_conditioning_decides_what_a_token_has_read(chain: Chain, task: Task) -> None:
    pieces = [["ab", "cd"]]
    whole = certainty_scores([chain], pieces, task, None, "entropy")  # type: ignore[arg-type]
    alone = certainty_scores([chain], pieces, task, None, "entropy", conditioning="question")  # type: ignore[arg-type]
    assert whole == [[0.5, 2.5]]
    assert alone == [[0.5, 0.5]]
    assert certainty_scores([chain], pieces, task, None, "loss", reduce="sum") == [[2.0, 2.0]]  # type: ignore[arg-type]


def test_a_score_that_is_no_number_is_refused(
    chain: Chain, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, lambda *_, **__: [Tokens([float("nan")], [0.0], [(0, 1)])])
    with pytest.raises(DataError, match=r"ann/0: the scoring student gives entropy \[nan\]"):
        certainty_scores([chain], [["a"]], task, None, "entropy")  # type: ignore[arg-type]


def test_segmenting_without_a_student_does_not_import_torch() -> None:
    code = "import sys, smallsteps.segments.label, smallsteps.evaluation.grade; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("scores", [bleu_scores, rouge_scores])
def test_a_long_question_is_looked_through_once_for_all_pieces(scores: Callable[..., Any]) -> None:
    """The trap: 13 s for a question and a rationale of 28,000 characters, which is their
    product."""

    def seconds(length: int) -> float:
        question, pieces = (
            "Tom has 5 cups, so what? " * (length // 25),
            ["Ann has 3 pens, "] * (length // 16),
        )
        taken = []
        for _ in range(3):
            start = time.process_time()
            scores(question, pieces)
            taken.append(time.process_time() - start)
        return min(taken)

    assert (
        seconds(16_000) < 40 * seconds(1_600) + 0.05
    )  # 10 times the length; its square would be 100
