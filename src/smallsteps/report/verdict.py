"""What the numbers of a run say: one row per arm over its seeds, the baseline, and the verdict in
one sentence.

Page and terminal both ask here, so that they cannot disagree. The verdict names the arm that leads
and whether the interval of its paired difference excludes zero; it never calls a lead clear on the
arms' own intervals, which say less than the paired test."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

METRIC_NAMES = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "f1": "F1",
    "inclusion": "inclusion",
    "bleu": "BLEU",
    "rouge_l": "ROUGE-L",
    "missing_ratio": "missing ratio",
}
LOWER_IS_BETTER = {"missing_ratio"}
ENDINGS = {
    "stop_sign": "stop sign",
    "end": "end",
    "limit": "limit",
    "empty": "empty",
    "repetition": "repetition",
}
"""How a chain ended (`records.Stopped`) → how the report says it."""


@dataclass(frozen=True)
class Verdict:
    """The sentence, and whether a paired interval excludes zero (None: there was nothing to
    compare)."""

    text: str
    clear: bool | None


def metric_name(metric: Any) -> str:
    """`accuracy` → "accuracy", `bleu` → "BLEU"; a name we do not know stays as it is."""
    return METRIC_NAMES.get(str(metric), str(metric or "score"))


def number(value: Any, digits: int = 1, sign: bool = False) -> str:
    """A figure as the report prints it, with a true minus; an en dash where there is none.

    >>> number(41.25), number(-0.5, sign=True), number(None), number(float("nan"))
    ('41.2', '−0.5', '–', '–')
    """
    if not is_number(value):
        return "–"
    return f"{value:{'+' if sign else ''},.{digits}f}".replace("-", "−")


def measure(value: Any, metric: Any) -> str:
    """The main figure with its unit: "41.2 %" for accuracy, "34.7 BLEU" and the like for others."""
    return (
        f"{number(value)} %"
        if str(metric) == "accuracy"
        else f"{number(value)} {metric_name(metric)}"
    )


def p_value(value: Any) -> str:
    """A p value to three places.

    >>> p_value(0.0312), p_value(0.0002), p_value(None)
    ('0.031', '< 0.001', '–')
    """
    if not is_number(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def amount(value: Any) -> str:
    """A large count in short: tokens.

    >>> amount(1_530_000), amount(84_200), amount(950)
    ('1.53 M', '84.2 k', '950')
    """
    if not is_number(value):
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def duration(seconds: Any) -> str:
    """Seconds as a person says them.

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


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number (a truth value is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def arm_names(results: Row) -> list[str]:
    """Names of the arms in the order in which they first stand in `arms`."""
    return list(dict.fromkeys(str(row["name"]) for row in results.get("arms", ())))


def summaries(results: Row) -> list[dict[str, Any]]:
    """One row per arm: its `pooled` row, else its only row, else the mean of its seeds, without
    interval.

    `seeds` in it is the number of its rows.
    """
    pooled = {
        str(row["name"]): row
        for row in results.get("pooled", ())
        if "against" not in row and "name" in row
    }
    found = []
    for name in arm_names(results):
        rows = [row for row in results["arms"] if str(row["name"]) == name]
        if name in pooled:
            row = {**_mean(rows), **pooled[name]}
        elif len(rows) == 1:
            row = dict(rows[0])
        else:
            row = _mean(rows)
        found.append({**row, "name": name, "seeds": len(rows)})
    return found


def _mean(rows: Sequence[Row]) -> dict[str, Any]:
    """Means of what differs between seeds, sums of the counts; no interval, because seeds share
    their test problems."""
    row: dict[str, Any] = {"metric": rows[0].get("metric")}
    for key in ("value", "train_tokens", "passes", "seconds", "seconds_per_answer"):
        values = [r[key] for r in rows if is_number(r.get(key))]
        if values:
            row[key] = sum(values) / len(values)
    for key in ("n", "unparsed"):
        values = [r[key] for r in rows if is_number(r.get(key))]
        if values:
            row[key] = sum(values)
    ended: Counter[str] = Counter()
    for r in rows:
        ended.update(r.get("stopped") or {})
    return {**row, "stopped": dict(ended)}


def comparisons(results: Row) -> list[Row]:
    """The paired tests over all seeds where `pooled` holds them, else those seed by seed."""
    return [row for row in results.get("pooled", ()) if "against" in row] or list(
        results.get("comparisons", ())
    )


def baseline(results: Row) -> str | None:
    """The arm that others are compared against most often; else `direct` where it is an arm; else
    None."""
    against = Counter(str(row.get("against")) for row in comparisons(results))
    names = arm_names(results)
    for name, _ in against.most_common():
        if name in names:
            return name
    return "direct" if "direct" in names else None


def excludes_zero(row: Row) -> bool | None:
    """Whether the interval of a paired difference lies on one side of zero; None where it has
    none."""
    low, high = row.get("low"), row.get("high")
    return bool(low > 0 or high < 0) if is_number(low) and is_number(high) else None  # type: ignore[operator]


def verdict(results: Row) -> Verdict:
    """The run in one sentence, from the numbers alone, about the arm that validation chose (results
    without such a choice: the one that leads); controls and ceilings do not lead."""
    aside = results.get("controls") or ()
    rows = [
        row
        for row in summaries(results)
        if is_number(row.get("value")) and row["name"] not in aside
    ]
    if not rows:
        return Verdict("This run holds no graded arm.", None)
    metric = rows[0].get("metric")
    rows.sort(key=lambda row: row["value"], reverse=str(metric) not in LOWER_IS_BETTER)
    chosen = results.get("best") or {}
    by_validation = chosen.get("chosen_on") == "validation"
    lead = next(
        (row for row in rows if by_validation and row["name"] == chosen.get("name")), rows[0]
    )
    by_validation &= lead["name"] == chosen.get("name")
    said = measure(lead["value"], metric)
    if len(rows) == 1:
        return Verdict(f"{lead['name']} reaches {said}{_interval(lead)}{_problems(lead)}.", None)
    base = baseline(results)
    rest = [row for row in rows if row is not lead]
    other = next((row for row in rest if row["name"] == base), rest[0])
    if lead["value"] == other["value"]:
        return Verdict(
            f"{lead['name']} and {other['name']} are level at {said}{_problems(lead)}.", False
        )
    start = f"{lead['name']} leads with {said}"
    if by_validation:
        start = f"{lead['name']}, best on validation, reaches {said} on the test set"
    tests = [
        test
        for test in (_turned(row, lead["name"], other["name"]) for row in comparisons(results))
        if test
    ]
    if not tests:
        return Verdict(
            f"{start}{_interval(lead)}; no paired test against {other['name']} was made.", None
        )
    if len(tests) > 1:
        clear = sum(bool(excludes_zero(test)) for test in tests)
        text = f"{start}; its paired difference from {other['name']} excludes zero in {clear} of {len(tests)} seeds."
        return Verdict(text, clear == len(tests))
    test = tests[0]
    side = "above" if test["difference"] > 0 else "below"
    gap = f"{number(abs(test['difference']))} points {side} {other['name']}"
    interval = f"95 % interval {number(test.get('low'), sign=True)} to {number(test.get('high'), sign=True)}"
    if excludes_zero(test) is None:
        return Verdict(f"{start}, {gap}; the difference has no interval.", None)
    if excludes_zero(test):
        return Verdict(f"{start}, {gap}. The {interval} excludes zero.", True)
    return Verdict(
        f"{start}, {gap}, but the {interval} includes zero: this run does not tell the two apart.",
        False,
    )


def _turned(row: Row, name: str, other: str) -> dict[str, Any] | None:
    """The paired test of `name` against `other`, its sign turned where it was written the other way
    round."""
    pair = (str(row.get("arm")), str(row.get("against")))
    if not is_number(row.get("difference")):
        return None
    if pair == (name, other):
        return dict(row)
    if pair != (other, name):
        return None
    low, high = row.get("low"), row.get("high")
    return {
        **row,
        "difference": -row["difference"],
        "low": -high if is_number(high) else None,  # type: ignore[operator]
        "high": -low if is_number(low) else None,  # type: ignore[operator]
    }


def _interval(row: Row) -> str:
    if not is_number(row.get("low")) or not is_number(row.get("high")):
        return ""
    return f" (95 % interval {number(row['low'])} to {number(row['high'])})"


def _problems(row: Row) -> str:
    seeds = int(row.get("seeds") or 1)
    over = f", {seeds} seeds" if seeds > 1 else ""
    return f" on {int(row['n']):,} answers{over}" if is_number(row.get("n")) else ""
