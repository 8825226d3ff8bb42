"""Rationales → their quality: every aspect of every rationale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from smallsteps.errors import DataError
from smallsteps.quality.aspects import ASPECTS, Aspect
from smallsteps.quality.evidence import Evidence
from smallsteps.quality.judges import Judge, Similarity
from smallsteps.quality.lexical_judge import LexicalJudge
from smallsteps.quality.rated import Rated, References
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task

BLOCK = 512
"""Rationales whose pairs are judged together."""


@dataclass(frozen=True)
class Quality:
    """The aspects of one rationale."""

    id: str
    scores: Mapping[str, float | None]
    """Aspect → score, 0..1, in the order of `ASPECTS`. None: what it needs was not given."""

    def __getitem__(self, aspect: str) -> float | None:
        return self.scores[aspect]

    def to_row(self) -> dict[str, Any]:
        """The quality as a JSON object."""
        return {"id": self.id, **self.scores}


@dataclass
class Scorer:
    """Scores rationales by its judges. Fluency needs `student` and `task`, naturalness needs
    `references`."""

    judge: Judge = field(default_factory=LexicalJudge)
    similarity: Similarity = field(default_factory=LexicalJudge)
    references: References | None = None
    student: Student | None = None
    task: Task | None = None

    def score(
        self, items: Sequence[Rated], progress: Callable[[int], None] | None = None
    ) -> list[Quality]:
        """One quality for each, in order. An empty rationale scores 0 in everything that is
        measured. `progress` receives the number scored so far."""
        fluencies = self._fluencies([item for item in items if item.text.strip()])
        qualities: list[Quality] = []
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            written = [item for item in block if item.text.strip()]
            evidence = Evidence(self.judge, self.similarity, written, self.references, fluencies)
            qualities += [self._quality(item, evidence) for item in block]
            if progress:
                progress(len(qualities))
        return qualities

    def _quality(self, item: Rated, evidence: Evidence) -> Quality:
        scores: dict[str, float | None] = {}
        for aspect in ASPECTS.values():
            if not self._can_measure(aspect, item):
                scores[aspect.name] = None
            elif not item.text.strip():
                scores[aspect.name] = 0.0
            else:
                scores[aspect.name] = aspect.measure(item, evidence)
        return Quality(item.id, scores)

    def _can_measure(self, aspect: Aspect, item: Rated) -> bool:
        given = {
            "nothing": True,
            "context": bool(item.context),
            "student": self.student is not None,
            "references": self.references is not None,
        }
        return given[aspect.needs]

    def _fluencies(self, items: Sequence[Rated]) -> dict[int, float]:
        """id() of each item → its likelihood, standardised by the references (else by the items)
        and squashed to 0..1."""
        if self.student is None:
            return {}
        likelihoods = self.likelihoods(items)
        references = self.references or References.of([item.text for item in items], likelihoods)
        return {
            id(item): _sigmoid((value - references.mean) / references.spread)
            for item, value in zip(items, likelihoods, strict=True)
        }

    def likelihoods(self, items: Sequence[Rated]) -> list[float]:
        """Mean log-probability (nats) of each rationale's tokens under the student."""
        from smallsteps.students.scores import token_scores

        if self.student is None or self.task is None:
            raise DataError("fluency needs a student and its task.")
        scores_of_items = token_scores(
            self.student, self.task, [(item.rendered, item.text) for item in items]
        )
        return [-fmean(scores.loss) if len(scores.loss) else 0.0 for scores in scores_of_items]


def _sigmoid(value: float) -> float:
    """1 / (1 + e^-value). The exponent is clipped: references that are nearly alike have next to no
    spread, and e^710 is no float."""
    return 1 / (1 + math.exp(-min(700.0, max(-700.0, value))))
