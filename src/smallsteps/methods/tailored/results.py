"""What tailored learning reports beside its arms: the rounds. Part of `results.json`
(`smallsteps.experiment.results`)."""

from __future__ import annotations

from typing import Literal

from smallsteps.experiment.result_record import Figure, ResultRecord
from smallsteps.experiment.results import METHOD_RESULTS, MethodResults


class RoundResult(ResultRecord):
    """One student of an arm: the untrained one (round 0), or the one that a round trained."""

    arm: str
    seed: int
    round: int
    exam: float
    """Right chains of all sampled ones, per cent."""
    unfinished: float
    """Sampled chains that did not end by themselves, per cent."""
    unknown: float
    """Sampled chains that are neither right nor wrong, per cent."""
    validation: Figure
    test: Figure
    mistakes: int
    """Training questions with a finished wrong chain."""
    questions: int
    """Training questions in the exam."""
    repaired: int
    """Questions with a mistake in the exam before and none in this one."""
    broken: int
    """Questions without a mistake in the exam before and with one in this one."""
    calls: int
    """Replies that the teacher was asked for to make this student."""
    kept: int
    """Replies that were learnt from."""
    teacher_tokens: int
    """Tokens of these replies."""
    train_tokens: int
    """Tokens of the rationales trained on (anchors)."""
    all_tokens: int
    """These and the tokens of the positives and negatives of the contrast."""
    usable: float | None
    """Items with both a right and a wrong rationale, per cent; null: nothing was contrasted."""


class TailoredResults(MethodResults):
    """The rounds of all arms and seeds, and what makes the arms equal in cost."""

    teacher: str
    equal: Literal["anchors", "all"]
    """Arms are equal in `train_tokens` or in `all_tokens`."""
    rounds: list[RoundResult]
    """The untrained student of each arm and seed first."""


METHOD_RESULTS["tailored"] = TailoredResults
