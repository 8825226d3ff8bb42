"""How chains are cut into segments: a section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from smallsteps.config import NotNegative, Positive, Settings


class SegmentationSettings(Settings):
    """How chains are cut (Sec. 2 of the method page)."""

    beta: Positive = 1.0
    """Threshold: a sub-sentence is AS where its score passes beta x the chain's mean (Eq. 1, 5;
    Fig. 3: best near 1)."""
    reduce: Literal["mean", "sum"] = "mean"
    """Over the tokens of a sub-sentence (the authors' code: sum)."""
    conditioning: Literal["rationale", "question"] = "rationale"
    """What a sub-sentence's score is conditioned on: question and earlier chain (Eq. 3), or the
    question alone (code)."""
    max_segments: int | None = Field(None, ge=1, le=1_000_000, examples=[20])
    """Segments a student may write; None: as many as the longest training chain has, and a quarter
    more."""
    folds: int = Field(1, ge=1, le=1000)
    """`ent`, `loss`: 1 scores chains with the direct student trained on them (paper); k scores each
    with one that was not."""
    gamma: NotNegative = 1.0
    """Reports only: normal regions included per report (paper: 1)."""
