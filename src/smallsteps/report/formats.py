"""Figures as the page and the terminal print them."""

from __future__ import annotations

import math
from typing import Any

from smallsteps.evaluation.metrics import metric_name
from smallsteps.records import Stopped

ENDINGS: dict[Stopped, str] = {
    "stop_sign": "stop sign",
    "end": "end",
    "limit": "limit",
    "empty": "empty",
    "repetition": "repetition",
}
"""How a chain ended → its name in the report."""


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number (a truth value is not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 1, sign: bool = False) -> str:
    """A figure with a true minus sign, which zero never has; an en dash where there is none.

    >>> number(41.25), number(-0.5, sign=True), number(-0.04), number(None), number(float("nan"))
    ('41.2', '−0.5', '0.0', '–', '–')
    """
    if not is_number(value):
        return "–"
    return f"{value:{'+' if sign else ''}z,.{digits}f}".replace("-", "−")


def metric_title(metric: str) -> str:
    """The metric's name with a capital: "Accuracy", "Exact match"."""
    name = metric_name(metric)
    return name[:1].upper() + name[1:]


def measure(value: float, metric: str) -> str:
    """The main figure with its unit: "41.2 %" for accuracy, "34.7 BLEU" for other metrics."""
    return f"{number(value)} {'%' if metric == 'accuracy' else metric_name(metric)}"


def axis_name(metric: str) -> str:
    """The metric as the label of an axis: "Accuracy (%)", "BLEU"."""
    return metric_title(metric) + (" (%)" if metric == "accuracy" else "")


def p_value(value: float | None) -> str:
    """A p value to three places.

    >>> p_value(0.0312), p_value(0.0002), p_value(None)
    ('0.031', '< 0.001', '–')
    """
    if value is None or not is_number(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def amount(value: Any) -> str:
    """A large count in short, such as tokens.

    >>> amount(1_530_000), amount(84_200), amount(950)
    ('1.53 M', '84.2 k', '950')
    """
    if not is_number(value):
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:  # 999,500 is 1 M and not 1,000 k
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def duration(seconds: Any) -> str:
    """A time in the units that people use.

    >>> duration(4.2), duration(75), duration(7_260), duration(0.0123)
    ('4.2 s', '1 min 15 s', '2 h 1 min', '0.012 s')
    """
    if not is_number(seconds):
        return "–"
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def expense(kind: str, value: float) -> str:
    """What a training has cost, in tokens, seconds or passes.

    >>> expense("tokens", 310_000), expense("seconds", 75), expense("passes", 6)
    ('310 k tokens', '1 min 15 s', '6.0 passes')
    """
    if kind == "seconds":
        return duration(value)
    return f"{amount(value)} tokens" if kind == "tokens" else f"{number(value)} passes"
