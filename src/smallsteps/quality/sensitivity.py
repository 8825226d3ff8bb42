"""How surely each aspect tells rationales from spoilt ones.

An aspect should rank a rationale above its perturbed self (AUC >= 0.8) for the perturbations that
belong to it (`Aspect.lowered_by`), and be near 0.5 on the others. `matrix` measures all pairs,
`matrix_table` shows them and marks both. With the lexical judges on bundled facts, the first half
of the rule holds; the second fails in 30 of 61 cells."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.perturb import PERTURBATIONS
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Quality, Scorer

NEAR = 0.1
"""How far from 0.5 an AUC may be to count as chance."""


def matrix(
    items: Sequence[Rated],
    scorer: Scorer,
    seed: int = 0,
    paired: bool = False,
    names: Collection[str] = tuple(PERTURBATIONS),
) -> dict[str, dict[str, float | None]]:
    """aspect → perturbation → AUC: how often a rationale scores above a perturbed one (any item's;
    `paired`: its own; ties count half). `names`: the perturbations that are measured.

    A rationale counts where it was measured before and after. None: none was, or none could be
    spoilt in this way."""
    before = scorer.score(items)
    auc_of: dict[str, dict[str, float | None]] = {aspect: {} for aspect in ASPECTS}
    for name, perturb in PERTURBATIONS.items():
        if name not in names:
            continue
        spoilt, unspoilt_quality = [], []
        for n, item in enumerate(items):
            other = items[(n + 1) % len(items)]
            text = perturb(item, other, random.Random(f"{name}/{seed}/{item.id}"))
            if text is not None and text.strip() != item.text.strip():
                spoilt.append(replace(item, text=text))
                unspoilt_quality.append(before[n])
        spoilt_quality = scorer.score(spoilt)
        for aspect in ASPECTS:
            pairs = _measured_pairs(unspoilt_quality, spoilt_quality, aspect)
            higher, lower = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            rank = wins if paired else auc
            auc_of[aspect][name] = rank(higher, lower) if pairs else None
    return auc_of


def _measured_pairs(
    unspoilt: Sequence[Quality], spoilt: Sequence[Quality], aspect: str
) -> list[tuple[float, float]]:
    """The scores of an aspect, of each rationale that was measured both before and after."""
    scores = (
        (before[aspect], after[aspect]) for before, after in zip(unspoilt, spoilt, strict=True)
    )
    return [(high, low) for high, low in scores if high is not None and low is not None]


def beside_the_point(
    measured: Mapping[str, Mapping[str, float | None]],
) -> dict[tuple[str, str], float]:
    """(aspect, perturbation) → AUC where an aspect reacts to a perturbation that does not belong to
    it: further than `NEAR` from 0.5."""
    return {
        (aspect, name): value
        for aspect, values in measured.items()
        for name, value in values.items()
        if value is not None and name not in ASPECTS[aspect].lowered_by and abs(value - 0.5) > NEAR
    }


def matrix_table(measured: Mapping[str, Mapping[str, float | None]]) -> str:
    """A Markdown table: bold what belongs to an aspect, † what does not belong to it and changes it
    all the same."""
    marked = beside_the_point(measured)
    names = list(dict.fromkeys(name for values in measured.values() for name in values))
    lines = ["| aspect | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for aspect, values in measured.items():
        cells = []
        for name in names:
            value = values.get(name)
            cell = "–" if value is None else f"{value:.2f}"
            if name in ASPECTS[aspect].lowered_by:
                cell = f"**{cell}**"
            cells.append(f"{cell} †" if (aspect, name) in marked else cell)
        lines.append(f"| {aspect} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def wins(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The share of places at which the first is above the second; ties count half."""
    return sum((a > b) + 0.5 * (a == b) for a, b in zip(higher, lower, strict=True)) / len(higher)


def auc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The share of pairs in which the first is above the second; ties count half.

    >>> auc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    values = sorted({*higher, *lower})
    rank = {value: n for n, value in enumerate(values)}
    below = [0] * (len(values) + 1)
    equal = [0] * len(values)
    for value in lower:
        equal[rank[value]] += 1
    for n, count in enumerate(equal):
        below[n + 1] = below[n] + count
    won = sum(below[rank[value]] + 0.5 * equal[rank[value]] for value in higher)
    return won / (len(higher) * len(lower))
