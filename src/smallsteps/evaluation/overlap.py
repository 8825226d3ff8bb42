"""ROUGE-L in a few lines: the longest common subsequence of two texts, word by word or character by
character.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", Sec. 3 (sentence level,
beta = 1). Words are those of the package `rouge-score` without stemming - lower case, runs of
letters and digits - except that letters outside a-z count too. Chinese is taken character by
character, white space left out. Used by the metric `rouge_l` and by the segmentation strategy
`rouge`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from smallsteps.records import Kind
from smallsteps.tasks.languages import LANGUAGES

_WORD = re.compile(r"[^\W_]+")


class Overlap(NamedTuple):
    """Shares between 0 and 1; all 0 where either text has no words."""

    precision: float
    """Longest common subsequence over the words of the hypothesis."""
    recall: float
    """Longest common subsequence over the words of the reference."""
    f1: float


def words(text: str, language: str = "en") -> list[str]:
    """The units that ROUGE-L compares: words in lower case; characters where a language sets no
    spaces (Chinese, Japanese, Thai)."""
    if not LANGUAGES[language].spaced:
        return [character for character in text if not character.isspace()]
    return _WORD.findall(text.lower())


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    One big integer holds a row of the dynamic programme, a bit for each word of `first` (Hyyrö
    2004), so that a row costs a handful of integer operations."""
    return _common(_places(first), len(first), second)


def _places(words: Sequence[str]) -> dict[str, int]:
    """Word → the places where it stands, a bit for each."""
    places: dict[str, int] = {}
    for index, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << index
    return places


def _common(places: dict[str, int], length: int, second: Sequence[str]) -> int:
    full = (1 << length) - 1
    row = full
    for word in second:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return length - row.bit_count()


def precisions(hypotheses: Sequence[str], reference: str, language: str = "en") -> list[float]:
    """ROUGE-L precision (0..1) of each hypothesis. The reference is indexed once for all."""
    reference_words = words(reference, language)
    places = _places(reference_words)
    shares = []
    for hypothesis in hypotheses:
        hypothesis_words = words(hypothesis, language)
        common = _common(places, len(reference_words), hypothesis_words)
        shares.append(common / len(hypothesis_words) if hypothesis_words else 0.0)
    return shares


def rouge_l(hypothesis: str, reference: str, language: str = "en") -> Overlap:
    """ROUGE-L of `hypothesis` against `reference`.

    >>> rouge_l("Ann has pens", "Ann has 3 boxes of pens")
    Overlap(precision=1.0, recall=0.5, f1=0.6666666666666666)
    """
    hypothesis_words, reference_words = words(hypothesis, language), words(reference, language)
    common = common_length(hypothesis_words, reference_words)
    if not common:
        return Overlap(0.0, 0.0, 0.0)
    precision, recall = common / len(hypothesis_words), common / len(reference_words)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall))


MOSTLY_COPIED = 0.7
"""Share of a segment's words that stand in the question, in order, from which it looks
extractive."""


def judged_kind(question: str, text: str, language: str = "en") -> Kind:
    """The kind that a segment looks like where nobody stated it (uni-path without a cue). Only for
    colours.

    ES where at least `MOSTLY_COPIED` of its words stand in the question, in order. On gold chains
    of the bundled task (300 of seed 5) 99.7 % of the segments before the closing sentence are
    judged as labelled.

    >>> judged_kind("Ann has 3 boxes of 4 pens.", "Ann has 3 boxes,")
    'ES'
    >>> judged_kind("Ann has 3 boxes of 4 pens.", "so 3 x 4 = 12.")
    'AS'
    """
    return "ES" if rouge_l(text, question, language).precision >= MOSTLY_COPIED else "AS"
