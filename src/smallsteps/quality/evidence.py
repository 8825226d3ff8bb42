"""What the aspects look at beside a rationale: judged pairs of sentences, references, likelihoods.

All pairs that some rationales need are judged in two calls, so that a model sees them in batches by
length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from smallsteps.quality.judges import Judge, Judgement, Pair, Similarity
from smallsteps.quality.lexical_judge import words
from smallsteps.quality.rated import Rated, References


class Evidence:
    """Verdicts and similarities of a block of rationales, looked up by pair of sentences."""

    def __init__(
        self,
        judge: Judge,
        similarity: Similarity,
        items: Sequence[Rated],
        references: References | None = None,
        fluency: Mapping[int, float] | None = None,
    ) -> None:
        """`fluency`: id() of an item → its standardised likelihood, 0..1."""
        self.judge, self.similarity = judge, similarity
        self.references = references
        self._fluency = fluency or {}
        compared: dict[Pair, None] = {}
        for item in items:
            others = [*item.context, *within_reach(item)] if item.context else []
            for step in item.steps:
                compared |= dict.fromkeys((step, other) for other in others)
            compared |= dict.fromkeys(pairwise(item.steps))
        self._alike = dict(zip(compared, similarity.similarities(list(compared)), strict=True))
        inferred: dict[Pair, None] = {}
        for item in items:
            if not item.context:
                continue
            for n, step in enumerate(item.steps):
                inferred |= dict.fromkeys((premise, step) for premise in self._premises(item, step))
                inferred |= dict.fromkeys((earlier, step) for earlier in item.steps[:n])
            inferred[self.premise_of_last(item), item.steps[-1]] = None
        self._verdicts = dict(zip(inferred, judge.verdicts(list(inferred)), strict=True))

    def alike(self, first: str, second: str) -> float:
        """Similarity (0..1) of two sentences."""
        return self._alike[first, second]

    def verdict(self, premise: str, hypothesis: str) -> Judgement:
        """Whether the hypothesis follows from the premise, and whether it contradicts it."""
        return self._verdicts[premise, hypothesis]

    def by_context(self, item: Rated, step: str) -> list[Judgement]:
        """The verdicts of the context on a step: sentence by sentence, and two that belong
        together."""
        return [self._verdicts[premise, step] for premise in self._premises(item, step)]

    def premise_of_last(self, item: Rated) -> str:
        """What the last step should follow from: the nearest sentence of the context and the steps
        before."""
        return " ".join([*self._nearest(item, item.steps[-1])[:1], *item.steps[:-1]])

    def fluency(self, item: Rated) -> float:
        """The standardised likelihood (0..1) of the rationale's tokens under the student."""
        return self._fluency[id(item)]

    def _nearest(self, item: Rated, step: str) -> list[str]:
        """The context, the sentences most like the step first."""
        return sorted(item.context, key=lambda sentence: -self._alike[step, sentence])

    def _premises(self, item: Rated, step: str) -> list[str]:
        near = self._nearest(item, step)
        names = words(near[0]).names
        linked = next((other for other in near[1:] if words(other).names & names), None)
        return [*near[: self.judge.nearest], *([] if linked is None else [f"{near[0]} {linked}"])]


def within_reach(item: Rated) -> list[str]:
    """The question, the sentences of the context that share a name with it, and those that share
    one with these."""
    reached = [item.question]
    names = words(item.question).names
    for _ in range(2):
        near = [c for c in item.context if words(c).names & names and c not in reached]
        reached += near
        names = names.union(*(words(c).names for c in near))
    return reached
