"""What a task is: one frozen value that says how questions are put, how chains end and how answers are read and graded.

Prompting, training, generation, filtering, exams, rewards and scores all ask the same Task, so that they cannot disagree.
To add a task, write a module that builds one and add a line to `TASKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from smallsteps.records import Chain, Grade, Prediction, Problem

STOP_TOKEN = "<STOP>"
"""The special token that ends the last segment where no closing phrase is natural."""


@dataclass(frozen=True)
class Task:
    """Everything the toolkit knows about one kind of problem."""

    name: str
    render: Callable[[Problem], str]
    """Problem → the question text a student reads (with choices, without context)."""
    extract: Callable[[str, bool, Problem | None], str | None]
    """(text, lenient, problem) → the answer, or None. Strict reads only what the closing says; lenient also takes the last
    candidate in the text. The problem is given where choices matter."""
    same: Callable[[str | None, str | None], bool]
    """(answer, gold) → equal by value. Never true for None."""
    closing: str | None = "The answer is {answer}."
    """The sentence that ends a chain; None: chains end in the special token `<STOP>`."""
    closing_pattern: str | None = r"answer is"
    """Regular expression (case-insensitive) of the stop sign's phrase; None: `<STOP>` ends a chain."""
    joiner: str = " "
    """Between earlier segments in a student's input: a space, or nothing for Chinese."""
    language: str = "en"
    """`en` or `zh`: which tokeniser BLEU and ROUGE-L use."""
    metric: str = "accuracy"
    """Name of the main figure in `evaluation.METRICS`: accuracy, or bleu for reports."""
    max_segments: int = 10
    """Segments a chain may have before it stops with `limit` (the authors' code: five rounds of two)."""
    max_segment_tokens: int = 100
    """New tokens a segment may have (the authors' code: 100)."""
    max_chain_tokens: int = 256
    """New tokens a whole chain may have when it is written at once (direct)."""
    prepare: Callable[[Sequence[dict[str, Any]]], list[Chain]] | None = None
    """Rows of the data set's own shape → chains, where rows are not `id, question, rationale, answer` (reports)."""
    assemble: Callable[[Sequence[Problem], Sequence[Prediction]], list[Prediction]] | None = None
    """Predictions of parts (regions) → predictions of wholes (reports), before grading."""
    meta: dict[str, Any] = field(default_factory=dict)

    def ends_chain(self, segment: str) -> bool:
        """Whether `segment` carries the stop sign: the closing phrase in its last sentence, with an answer that parses."""
        raise NotImplementedError  # written by tasks/base.py's owner below

    def grade(self, prediction: Prediction, problem: Problem) -> Grade:
        raise NotImplementedError
