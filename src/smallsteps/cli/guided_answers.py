"""What `smallsteps guide` writes and prints: rows, what a gate held back, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from smallsteps.errors import counted
from smallsteps.evaluation.comparison import compare_scores
from smallsteps.evaluation.grade import grade
from smallsteps.methods.guided.method import turned
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale, predictions_of
from smallsteps.records import Problem
from smallsteps.tasks.base import Task

DIGITS = 4
"""Decimal places of a factuality in a row."""


@dataclass(frozen=True)
class Gated:
    """What a gate did."""

    least: float
    factualities: Sequence[float | None]
    """None: the judge gave no rating."""
    passed: Sequence[bool]
    """Whether the rationale was shown."""


@dataclass(frozen=True)
class ReaderAnswers:
    """The reader's answers to the problems of a file."""

    task: Task
    problems: Sequence[Problem]
    rationales: Sequence[WrittenRationale]
    final: Sequence[GuidedAnswer]
    """With rationales; those that a gate held back: without."""
    guided: Sequence[GuidedAnswer] | None
    """With every rationale; None: nobody asked for all of them."""
    alone: Sequence[GuidedAnswer] | None
    """Without; None: not asked for."""
    gated: Gated | None
    """None: there was no gate."""

    def correct(self, outcomes: Sequence[GuidedAnswer]) -> list[bool]:
        """Whether each outcome is a gold answer of its problem."""
        return [
            any(self.task.same(outcome.answer, gold) for gold in self.task.golds(problem))
            for problem, outcome in zip(self.problems, outcomes, strict=True)
        ]

    @property
    def others(self) -> dict[str, Sequence[GuidedAnswer]]:
        """Ending of their fields in a row → the answers that the final ones are compared with."""
        named = {"guided": self.guided if self.gated else None, "without": self.alone}
        return {name: outcomes for name, outcomes in named.items() if outcomes is not None}

    def rows(self) -> list[dict[str, Any]]:
        """One row per problem, in order."""
        rows: list[dict[str, Any]] = [
            {
                "id": problem.id,
                "question": problem.question,
                "context": problem.context,
                "rationale": rationale.text,
                "answer": outcome.answer,
                "read_from": outcome.read_from,
            }
            for problem, rationale, outcome in zip(
                self.problems, self.rationales, self.final, strict=True
            )
        ]
        if self.gated is not None:
            gated = self.gated
            for row, factuality, passed in zip(rows, gated.factualities, gated.passed, strict=True):
                row["factuality"] = None if factuality is None else round(factuality, DIGITS)
                row["gated"] = not passed
        for name, outcomes in self.others.items():
            for row, outcome in zip(rows, outcomes, strict=True):
                row[f"answer_{name}"] = outcome.answer
        self._add_correctness(rows, self.final, "correct")
        for name, outcomes in self.others.items():
            self._add_correctness(rows, outcomes, f"correct_{name}")
        return rows

    def _add_correctness(
        self, rows: list[dict[str, Any]], outcomes: Sequence[GuidedAnswer], name: str
    ) -> None:
        corrects = self.correct(outcomes)
        for row, problem, correct in zip(rows, self.problems, corrects, strict=True):
            if problem.answer is not None:
                row[name] = correct

    def gate_lines(self) -> Iterator[str]:
        """How many rationales the gate held back."""
        if self.gated is None:
            return
        hidden = self.gated.passed.count(False)
        unread = self.gated.factualities.count(None)
        note = f", {unread:,} of them without a readable rating" if unread else ""
        yield (
            f"gate: {hidden:,} of {counted(len(self.problems), 'rationale')} not shown to the "
            f"reader (factuality below {self.gated.least:g}{note})"
        )

    def score_lines(self) -> Iterator[str]:
        """The scores, and the paired comparisons of those that are known. Nothing where a gold
        answer is missing."""
        if any(problem.answer is None for problem in self.problems):
            return
        by_name = {"gated": self.final} if self.gated else {}
        if self.guided is not None:
            by_name["guided"] = self.guided
        if self.alone is not None:
            by_name["alone"] = self.alone
        scores = {
            name: grade(predictions_of(outcomes), self.problems, self.task)
            for name, outcomes in by_name.items()
        }
        for name, score in scores.items():
            yield f"{name}: {score.signature()}"
        for first, second in combinations(scores, 2):
            yield f"{first} - {second}: {compare_scores(scores[first], scores[second])}"
            changes = turned(self.correct(by_name[second]), self.correct(by_name[first]))
            yield ", ".join(f"{change} {count}" for change, count in changes.items())
