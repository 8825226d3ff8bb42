"""Rationales spoilt in one way each, to test the measures of quality.

Which aspect must notice which perturbation stands in the aspect's entry (`Aspect.lowered_by`);
whether it does is measured in `sensitivity.py`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from smallsteps.quality.lexical_judge import STOPWORDS
from smallsteps.quality.rated import Rated

Perturbation = Callable[[Rated, Rated, random.Random], str | None]
"""(a rationale, one of another question, chance) → the spoilt text; None: it cannot be spoilt in
this way."""

_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b(?:[A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+)*|\d[\d,.]*\d|\d)\b")
_VERB = re.compile(
    r"\b(is|are|was|were|has|had|can|could|will|would|does|did|lives|makes|works|gets|gives|buys"
    r"|means|stars|portrayed|played|directed|released|founded|located|born)\b"
)

_AUXILIARIES = frozenset(
    ["is", "are", "was", "were", "has", "had", "can", "could", "will", "would", "does", "did"]
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
    negated = f"{verb} not" if verb in _AUXILIARIES else f"never {verb}"
    steps[n] = steps[n][: match.start()] + negated + steps[n][match.end() :]
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
        tokens = step.split()
        steps.append(" ".join(chance.sample(tokens, len(tokens))))
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
        f"{step.rstrip('.')}, which, {chance.choice(_LONG)} and {chance.choice(_LONG)} "
        f"{chance.choice(_LONG)}, {chance.choice(_LONG)} constitutes an incontrovertible "
        "determination."
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
