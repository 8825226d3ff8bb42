"""Rationales spoilt in one way each: what a measure of quality must notice.

A scorer of an aspect should rank a rationale above its perturbed self (AUC >= 0.8) for the
perturbations that belong to the aspect, and be near 0.5 on the others. `matrix` measures all pairs;
`matrix_table` shows them and marks both: the first half of the rule holds for the lexical judges on
bundled facts, the second fails in 30 of 61 cells.

    aspect         its own perturbations
    factuality     swap a name, negate a step
    relevance      another question's rationale, insert an off-topic sentence
    logicality     drop the step before the last
    consistency    negate a step
    coherence      repeat a step, shuffle the steps
    fluency        garble the words
    naturalness    garble the words
    readability    long words and nested clauses
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from smallsteps.quality.aspects import ASPECTS, Rated, Scorer
from smallsteps.quality.judges import STOPWORDS

Perturbation = Callable[[Rated, Rated, random.Random], str | None]
"""(a rationale, one of another question, chance) → its text spoilt; None: it cannot be spoilt
so."""

OWN: dict[str, tuple[str, ...]] = {
    "factuality": ("swap", "negate"),
    "relevance": ("other", "insert"),
    "logicality": ("drop",),
    "consistency": ("negate",),
    "coherence": ("repeat", "shuffle"),
    "fluency": ("garble",),
    "naturalness": ("garble",),
    "readability": ("bloat",),
}
"""Aspect → the perturbations that belong to it."""

NEAR = 0.1
"""How far from 0.5 an AUC may be to count as chance."""

_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b(?:[A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+)*|\d[\d,.]*\d|\d)\b")
_VERB = re.compile(
    r"\b(is|are|was|were|has|had|can|could|will|would|does|did|lives|makes|works|gets|gives|buys|means|stars|portrayed|played"
    r"|directed|released|founded|located|born)\b"
)


def _join(steps: Sequence[str], item: Rated) -> str:
    closing = (
        item.text.strip().removeprefix(" ".join(item.steps)).strip() if len(item.steps) else ""
    )
    return " ".join([*steps, closing]).strip()


def swap(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """A name or number of one step becomes another one of the context."""
    steps = list(item.steps)
    names = sorted(
        {m[0] for c in item.context for m in re.finditer(r"\b[A-Z][\w'’-]+\b|\b\d[\d,.]*\b", c)}
        - _openers(item)
    )
    places = [(n, m) for n, step in enumerate(steps) for m in _NAME.finditer(step)]
    if not places:
        return None
    n, match = chance.choice(places)
    choices = [name for name in names if name not in match[0] and name not in steps[n]]
    if not choices:
        return None
    steps[n] = steps[n][: match.start()] + chance.choice(choices) + steps[n][match.end() :]
    return _join(steps, item)


def _openers(item: Rated) -> set[str]:
    """Words of the context that are written with a capital only because they open a sentence."""
    return {
        c.split()[0].strip(",")
        for c in item.context
        if c.split() and c.split()[0].lower().strip(",") in STOPWORDS
    }


def negate(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """A step says the opposite."""
    steps = list(item.steps)
    places = [(n, m) for n, step in enumerate(steps) for m in [_VERB.search(step)] if m]
    if not places:
        return None
    n, match = chance.choice(places)
    verb = match[0]
    auxiliary = verb in (
        "is",
        "are",
        "was",
        "were",
        "has",
        "had",
        "can",
        "could",
        "will",
        "would",
        "does",
        "did",
    )
    said = f"{verb} not" if auxiliary else f"never {verb}"
    steps[n] = steps[n][: match.start()] + said + steps[n][match.end() :]
    return _join(steps, item)


def drop(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """Without the step before the last, on which it rests."""
    steps = item.steps
    return _join([*steps[:-2], steps[-1]], item) if len(steps) > 1 else None


def repeat(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """A step is said twice."""
    steps = list(item.steps)
    n = chance.randrange(len(steps))
    return _join([*steps[: n + 1], *steps[n:]], item)


def shuffle(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """The steps in another order."""
    steps = list(item.steps)
    if len(set(steps)) < 3:
        return None
    while True:
        mixed = chance.sample(steps, len(steps))
        if mixed not in (steps, steps[::-1]):
            return _join(mixed, item)


def insert(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """A sentence about something else in the midst."""
    steps = list(item.steps)
    foreign = [c for c in other.context if c not in item.context]
    if not foreign:
        return None
    steps.insert(
        chance.randrange(1, len(steps) + 1) if len(steps) > 1 else 1, chance.choice(foreign)
    )
    return _join(steps, item)


def of_other(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """The rationale of another question."""
    return other.text


def garble(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """The words of each step in any order."""
    steps = []
    for step in item.steps:
        said = step.split()
        steps.append(" ".join(chance.sample(said, len(said))))
    return _join(steps, item)


_LONG = (
    "notwithstanding",
    "institutional",
    "considerations",
    "characteristically",
    "unquestionably",
    "internationally",
)


def bloat(item: Rated, other: Rated, chance: random.Random) -> str | None:
    """Long words and nested clauses."""
    steps = [
        f"{step.rstrip('.')}, which, {chance.choice(_LONG)} and {chance.choice(_LONG)} {chance.choice(_LONG)}, "
        f"{chance.choice(_LONG)} constitutes an incontrovertible determination."
        for step in item.steps
    ]
    return _join(steps, item)


PERTURBATIONS: dict[str, Perturbation] = {
    "swap": swap,
    "negate": negate,
    "drop": drop,
    "repeat": repeat,
    "shuffle": shuffle,
    "insert": insert,
    "other": of_other,
    "garble": garble,
    "bloat": bloat,
}


def matrix(
    items: Sequence[Rated],
    scorer: Scorer,
    seed: int = 0,
    paired: bool = False,
    names: Collection[str] = tuple(PERTURBATIONS),
) -> dict[str, dict[str, float | None]]:
    """aspect → perturbation → AUC: how often a rationale scores above a perturbed one (any item's;
    `paired`: its own; ties count half). `names`: the perturbations that are measured.

    None: no rationale could be spoilt so, or the aspect was not measured.
    """
    before = scorer.score(items)
    found: dict[str, dict[str, float | None]] = {aspect: {} for aspect in ASPECTS}
    for name in (name for name in PERTURBATIONS if name in names):
        perturb = PERTURBATIONS[name]
        spoilt, kept = [], []
        for n, item in enumerate(items):
            text = perturb(
                item, items[(n + 1) % len(items)], random.Random(f"{name}/{seed}/{item.id}")
            )
            if text is not None and text.strip() != item.text.strip():
                spoilt.append(replace(item, text=text))
                kept.append(before[n])
        after = scorer.score(spoilt)
        for aspect in ASPECTS:
            ours = [getattr(one, aspect) for one in kept]
            theirs = [getattr(one, aspect) for one in after]
            measured = ours and None not in ours and None not in theirs
            found[aspect][name] = (wins if paired else auc)(ours, theirs) if measured else None
    return found


def beside_the_point(
    measured: Mapping[str, Mapping[str, float | None]],
) -> dict[tuple[str, str], float]:
    """(aspect, perturbation) → AUC where an aspect reacts to what does not belong to it: further
    than `NEAR` from 0.5."""
    return {
        (aspect, name): value
        for aspect, values in measured.items()
        for name, value in values.items()
        if value is not None and name not in OWN[aspect] and abs(value - 0.5) > NEAR
    }


def matrix_table(measured: Mapping[str, Mapping[str, float | None]]) -> str:
    """A Markdown table: in bold what belongs to an aspect, with † what does not and is noticed all
    the same."""
    marked = beside_the_point(measured)
    names = list(dict.fromkeys(name for values in measured.values() for name in values))
    lines = ["| aspect | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for aspect, values in measured.items():
        cells = []
        for name in names:
            value = values.get(name)
            cell = "–" if value is None else f"{value:.2f}"
            if name in OWN[aspect]:
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
