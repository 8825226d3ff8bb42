"""What trackers of experiments (`train.report_to`) get: the rows of the curves, through Trainer's
callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ON_VALIDATION = {
    "metric": "eval_metric",
    "validation_loss": "eval_loss",
    "bleu": "eval_bleu",
}
"""Figures on validation → the names under which Trainer's callbacks show them apart from those of
training."""


def tracked(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of the curves as trackers get it, without what was not measured.

    >>> tracked({"update": 3, "train_loss": 0.5, "validation_loss": 0.6, "bleu": None})
    {'update': 3.0, 'train_loss': 0.5, 'eval_loss': 0.6}
    """
    return {
        ON_VALIDATION.get(name, name): float(value)
        for name, value in row.items()
        if value is not None
    }
