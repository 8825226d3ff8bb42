"""The interface of judges of sentence pairs: does one follow from another, does it contradict it,
are the two alike?

Three classes implement this: `LexicalJudge` needs no weights and looks at words; `NliJudge` is any
Hugging Face sequence-classification model of natural-language inference; `EncoderJudge` is any
sentence encoder (`model_judges.py`). The aspects know this interface alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Pair = tuple[str, str]
"""(premise, hypothesis), or two sentences to compare."""


class Judgement(NamedTuple):
    """Both in [0, 1]."""

    entailment: float
    contradiction: float


class Judge(Protocol):
    """Natural-language inference."""

    nearest: int
    """How many sentences of a context are worth asking about, those most like the hypothesis
    first."""

    def verdicts(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One verdict for each (premise, hypothesis)."""
        ...


class Similarity(Protocol):
    """How alike two sentences are."""

    def similarities(self, pairs: Sequence[Pair]) -> list[float]:
        """One figure in [0, 1] for each pair."""
        ...
