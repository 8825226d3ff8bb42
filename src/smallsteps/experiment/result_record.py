"""What all records of `results.json` share."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from smallsteps.evaluation.grade import Score


class ResultRecord(BaseModel):
    """What all records of this file share: frozen, strictly typed, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(ResultRecord):
    """A metric with its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, score: Score) -> Self:
        return cls(value=score.value, low=score.low, high=score.high)
