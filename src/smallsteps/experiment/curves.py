"""What the evaluations of a training say, read off the rows of its curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smallsteps.experiment.results import CurvePoint


def evaluation_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows at which what an arm trains was evaluated: of a dual pair, those of the pair."""
    evaluated = [row for row in rows if "evaluation_seconds" in row]
    pairs = [row for row in evaluated if row.get("half") == "pair"]
    return pairs or evaluated


def curve_points(rows: Iterable[Mapping[str, Any]]) -> list[CurvePoint]:
    """The evaluations of a training in their order, as results.json has them."""
    return [
        CurvePoint(
            tokens=row["tokens"],
            passes=row["passes"],
            seconds=row["seconds"],
            evaluation_seconds=row["evaluation_seconds"],
            validation=row.get("metric"),
            validation_loss=row.get("validation_loss"),
        )
        for row in evaluation_rows(rows)
    ]
