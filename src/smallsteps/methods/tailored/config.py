"""Tailored learning in a recipe: its section, the names of its arms, and what must hold beside
them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from smallsteps.config import Count, Temperature
from smallsteps.experiment.method import Method
from smallsteps.segments.strategies import strategies_for_new_chains
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.training.settings import ContrastSettings

PREFIX = "tailored-"
KINDS = ("full", "t0-only", "blind", "no-contrast")
ARMS = tuple(PREFIX + kind for kind in KINDS)
FULL = f"{PREFIX}full"
"""The arm at whose cost the others are made."""


class TailoredSettings(ContrastSettings):
    """Tailored learning: exams, a teacher, and what is learnt from mistakes (Wang et al. 2023)."""

    rounds: int = Field(3, ge=1, le=1000)
    """Number of trainings. The student sits the exam before the first and after each."""
    teacher: TeacherSettings = Field(default_factory=TeacherSettings)
    rationales: int = Field(1, ge=1, le=1000)
    """Rationales of the teacher for each question at the start (T_0). Above 1 they can be each
    other's positives."""
    mistakes: int = Field(1, ge=1, le=1000)
    """Maximum number of wrong rationales of a question that the teacher sees in a round, each in a
    separate call."""
    samples: int = Field(4, ge=1, le=1000)
    """Sampled chains for each question in an exam (authors' code: 4)."""
    temperature: Temperature = 1.0
    """Sampling temperature of the exam (authors' code: 1)."""
    top_k: Count = 50
    """The exam samples from the likeliest tokens, this many (authors' code: 50)."""
    collect: Literal["accumulate", "replace"] = "accumulate"
    """Rationales to learn from: of all rounds, or of the newest round only."""
    cap: int = Field(8, ge=1, le=1000)
    """`accumulate`: maximum number of rationales of a question; the newest are kept."""
    start: Literal["continue", "restart"] = "continue"
    """The student that a round trains: the last round's (authors' code), or the untrained one."""
    min_gain: float | None = Field(None, ge=-100, le=100, examples=[0.5])
    """Stop after a round that gained less than this on validation, in points; None: never."""
    min_failed: float = Field(1.0, ge=0, le=100)
    """Stop when less than this share of the questions, in per cent, has a sample that is not
    right."""
    segments: str | None = None
    """None: the student writes whole chains; `inter`, `bleu` or `rouge`: it learns and writes them
    segment by segment (uni-path AS-ES)."""
    demonstrations: int = Field(0, ge=0, le=32)
    """Causal students: worked training questions, fixed by the seed, that stand before every
    question in training, exam and test. They weigh `prompt_weight`."""
    equal: Literal["anchors", "all"] = "anchors"
    """The training tokens in which arms are equal. `anchors`: tokens of the rationales trained on.
    `all`: all tokens that go through the model, with positives and negatives of the contrast."""


def check(recipe: Any, names: Sequence[str]) -> None:
    """Raises ValueError where the arms and the other settings of the recipe do not go together."""
    if FULL not in names:
        raise ValueError(
            f"arms of tailored learning are made at the cost of {FULL!r}: name it among them"
        )
    segments = recipe.tailored.segments
    unscored = strategies_for_new_chains()
    if segments not in (None, *unscored):
        raise ValueError(f"tailored.segments: {segments!r} is none of {', '.join(unscored)}")
    if recipe.train.until != "tokens":
        raise ValueError(
            "arms of tailored learning have training tokens in common: train.until must be tokens"
        )
    if len(recipe.train.rates) > 1:
        raise ValueError(
            "train.learning_rate: expected one number, got a list: each round of tailored learning "
            "goes on from the last one, and a rate searched for one would be used for all"
        )
    if recipe.train.budget is None:
        raise ValueError(
            "tailored learning needs train.budget, the training tokens of an arm over all rounds"
        )


METHOD = Method(
    name="tailored",
    arm_names=lambda: ARMS,
    baseline=FULL,
    contrasts=True,
    section="tailored",
    settings=TailoredSettings,
    check=check,
    renamed=dict(zip(KINDS, ARMS, strict=True)),
)
