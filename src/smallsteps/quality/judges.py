"""The interfaces of judges.

`Judge` and `Similarity` look at pairs of sentences: does one follow from another, does it
contradict it, are the two alike? The formulas of the aspects know these interfaces alone. Three
classes implement them: `LexicalJudge` needs no weights and looks at words; `NliJudge` is any
Hugging Face sequence-classification model of natural-language inference; `EncoderJudge` is any
sentence encoder (`model_judges.py`).

`AspectJudge` rates whole rationales, aspect by aspect, in the place of the formulas.
`PromptedJudge` is any chat model (`prompted_judge.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from smallsteps.quality.rated import Rated

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


class AspectJudge(Protocol):
    """Rates whole rationales."""

    @property
    def aspects(self) -> tuple[str, ...]:
        """The aspects that it can rate."""
        ...

    def rate(
        self,
        items: Sequence[Rated],
        aspects: Sequence[str],
        progress: Callable[[int], None] | None = None,
    ) -> list[dict[str, float | None]]:
        """Aspect → score in [0, 1] of each rationale, none of which is empty. None: the judge gave
        no score. An aspect that compares with the context is left out where there is none."""
        ...

    def forecast(self, items: Sequence[Rated], aspects: Sequence[str]) -> str:
        """One line on what rating them may cost."""
        ...
