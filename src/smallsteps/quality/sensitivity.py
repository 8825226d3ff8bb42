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

    None: no rationale could be spoilt in this way, or the aspect was not measured."""
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
            higher = _measured(unspoilt_quality, aspect)
            lower = _measured(spoilt_quality, aspect)
            rank = wins if paired else auc
            auc_of[aspect][name] = rank(higher, lower) if higher and lower else None
    return auc_of


def _measured(qualities: Sequence[Quality], aspect: str) -> list[float] | None:
    """The scores of an aspect; None where one is missing."""
    scores = [quality[aspect] for quality in qualities]
    measured = [score for score in scores if score is not None]
    return measured if len(measured) == len(scores) else None


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
