"""Rationales → their quality: every aspect of every rationale."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from smallsteps.errors import DataError
from smallsteps.faults import names_faults
from smallsteps.quality.aspects import ASPECTS, Aspect
from smallsteps.quality.evidence import Evidence
from smallsteps.quality.judges import AspectJudge, Judge, Similarity
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
    """Aspect → score, 0..1, in the order of `ASPECTS`. None: it is not measured, what it needs was
    not given, or a chat model gave no readable rating."""

    def __getitem__(self, aspect: str) -> float | None:
        return self.scores[aspect]

    def to_row(self) -> dict[str, Any]:
        """The quality as a JSON object."""
        return {"id": self.id, **self.scores}


@dataclass
class Scorer:
    """Scores rationales. Who measures an aspect:

    - fluency: `student` (with its `task`), naturalness: `references`, where they are given
    - else `prompted`, where it is given and can rate the aspect
    - else the aspect's formula, by the judges of sentence pairs"""

    judge: Judge = field(default_factory=LexicalJudge)
    similarity: Similarity = field(default_factory=LexicalJudge)
    references: References | None = None
    student: Student | None = None
    task: Task | None = None
    prompted: AspectJudge | None = None
    """Rates whole rationales."""
    aspects: Collection[str] | None = None
    """The aspects that are measured, the others are None; None: all."""

    @names_faults
    def score(
        self, items: Sequence[Rated], progress: Callable[[int], None] | None = None
    ) -> list[Quality]:
        """One quality for each, in order. An empty rationale scores 0 in everything that is
        measured. `progress` receives the number scored so far.

        Raises TeacherError where replies of a chat model did not come."""
        written = [item for item in items if item.text.strip()]
        ratings: dict[int, dict[str, float | None]] = {}
        if self.prompted and (aspects := self.prompted_aspects):
            rated = self.prompted.rate(written, aspects, progress)
            ratings = {id(item): scores for item, scores in zip(written, rated, strict=True)}
            progress = None  # what is left takes no time
        fluencies = self._fluencies(written) if "fluency" in self._formulas else {}
        qualities: list[Quality] = []
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            compared = [item for item in block if item.text.strip()] if self._compares else []
            evidence = Evidence(self.judge, self.similarity, compared, self.references, fluencies)
            qualities += [
                self._quality(item, evidence, ratings.get(id(item), {})) for item in block
            ]
            if progress:
                progress(len(qualities))
        return qualities

    def forecast(self, items: Sequence[Rated]) -> str | None:
        """One line on what scoring them may cost; None: nothing is asked of a chat model."""
        aspects = self.prompted_aspects
        if self.prompted is None or not aspects:
            return None
        return self.prompted.forecast([item for item in items if item.text.strip()], aspects)

    @property
    def prompted_aspects(self) -> tuple[str, ...]:
        """The aspects that `prompted` rates."""
        return tuple(name for name in self._measured if name not in self._formulas)

    @property
    def _measured(self) -> list[str]:
        return [name for name in ASPECTS if self.aspects is None or name in self.aspects]

    @property
    def _formulas(self) -> set[str]:
        """The aspects that are measured by their formula."""
        given = {"student": self.student is not None, "references": self.references is not None}
        rated = () if self.prompted is None else self.prompted.aspects
        return {
            name for name in self._measured if name not in rated or given.get(ASPECTS[name].needs)
        }

    @property
    def _compares(self) -> bool:
        """Whether a formula looks at pairs of sentences."""
        return any(ASPECTS[name].compares for name in self._formulas)

    def _quality(
        self, item: Rated, evidence: Evidence, ratings: Mapping[str, float | None]
    ) -> Quality:
        measured, formulas = self._measured, self._formulas
        scores: dict[str, float | None] = {}
        for aspect in ASPECTS.values():
            by_formula = aspect.name in formulas
            if aspect.name not in measured or not self._can_measure(aspect, item, by_formula):
                scores[aspect.name] = None
            elif not item.text.strip():
                scores[aspect.name] = 0.0
            else:
                scores[aspect.name] = (
                    aspect.measure(item, evidence) if by_formula else ratings[aspect.name]
                )
        return Quality(item.id, scores)

    def _can_measure(self, aspect: Aspect, item: Rated, by_formula: bool) -> bool:
        if aspect.needs == "context":
            return bool(item.context)
        given = {
            "nothing": True,
            "student": self.student is not None,
            "references": self.references is not None,
        }
        return given[aspect.needs] or not by_formula

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
