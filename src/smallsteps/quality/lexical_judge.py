"""A judge that needs no weights: it compares words, above all names, and negations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from smallsteps.quality.judges import Judgement, Pair
from smallsteps.tasks.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:[.,'’\-][^\W_]+)*")
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that these those it its he him his she her hers they them their we us our
        you your i me my of in on at by for to from with as is are was were be been being am do
        does did has have had will would can could shall should may might must and or but if then
        so than too also therefore thus hence since because while which who whom whose what where
        when why how there here into over under about after before between during through up down
        out off very more most some any each both all such own same just only said one
        """,
    )
)
NEGATIONS = frozenset(
    re.findall(r"\S+", "not no never none neither nor nobody nothing cannot without")
)


class Words(NamedTuple):
    """What a sentence is made of, for a lexical judge."""

    content: frozenset[str]
    """Stems of words that are neither stopwords nor negations."""
    names: frozenset[str]
    """Those of them that are numbers or written with a capital."""
    negated: bool
    """Whether the number of negations is odd."""


@lru_cache(maxsize=200_000)
def words(sentence: str) -> Words:
    """The words of a sentence.

    >>> sorted(words("Ann doesn't live in Rome's towns.").content)
    ['ann', 'liv', 'rom', 'town']
    >>> words("Ann doesn't live.").negated
    True
    """
    content, names = set(), set()
    negations = 0
    for match in _WORD.finditer(sentence.replace("’", "'")):
        word = match[0]
        lower = word.lower()
        if lower in NEGATIONS or lower.endswith("n't"):
            negations += 1
            continue
        if lower in STOPWORDS:
            continue
        stem = _stem(lower)
        content.add(stem)
        if word[0].isupper() or word[0].isdigit():
            names.add(stem)
    return Words(frozenset(content), frozenset(names), negations % 2 == 1)


def _stem(word: str) -> str:
    """Without a possessive or a regular ending."""
    word = word.removesuffix("'s").removesuffix("'")
    for ending, rest in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
        ("e", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + rest
    return word


@lru_cache(maxsize=500_000)
def alike(first: str, second: str) -> float:
    """Cosine of the sets of content words, names counted twice."""
    ours, theirs = words(first), words(second)
    both = _weight(ours.content & theirs.content, ours.names | theirs.names)
    return (
        both / (_weight(ours.content, ours.names) * _weight(theirs.content, theirs.names)) ** 0.5
        if both
        else 0.0
    )


def _weight(content: Iterable[str], names: frozenset[str]) -> float:
    return float(sum(2 if word in names else 1 for word in content))


class LexicalJudge:
    """Judges by words: a hypothesis follows where its premise says all its words, names above all,
    and negates as often.

    A premise of several sentences supports only as far as its sentences belong together: those that
    share no name with the others are read alone. It contradicts where all is said and the negation
    differs, or (less sure) where one name of an otherwise equal statement is another."""

    nearest = 1_000_000

    def verdicts(self, pairs: Sequence[Pair]) -> list[Judgement]:
        return [_verdict(premise, hypothesis) for premise, hypothesis in pairs]

    def similarities(self, pairs: Sequence[Pair]) -> list[float]:
        return [alike(*pair) for pair in pairs]


NAME_SWAPPED = 0.4
"""How sure a lexical judge is of a contradiction that lies in a name alone: "lives in Rome" and
"lives in Italy" may both be true."""


@lru_cache(maxsize=500_000)
def _verdict(premise: str, hypothesis: str) -> Judgement:
    claim = words(hypothesis)
    if not claim.content:
        return Judgement(0.0, 0.0)
    whole = _weight(claim.content, claim.names)
    best = Judgement(0.0, 0.0)
    single, linked = _together(premise)
    # what sentences say together leaves out a name that links them
    joined = (group for group, links in linked if not links <= claim.names)
    for statement in (*single, *joined):
        known = claim.content & statement.content
        share = _weight(known, claim.names) / whole
        entails, contradicts = share * share, 0.0
        only_names_missing = claim.content - claim.names <= statement.content
        if claim.negated != statement.negated:
            entails, contradicts = 0.1 * entails, share * share
        elif share < 1 and known & claim.names and only_names_missing:
            contradicts = NAME_SWAPPED * share
        best = Judgement(max(best.entailment, entails), max(best.contradiction, contradicts))
    return best


@lru_cache(maxsize=200_000)
def _together(premise: str) -> tuple[tuple[Words, ...], tuple[tuple[Words, frozenset[str]], ...]]:
    """(the sentences of a premise, the groups of them that names link: each group as one statement,
    with the names that link it)."""
    single = tuple(words(sentence) for sentence in sentences(premise))
    groups: list[tuple[Words, ...]] = []
    for sentence in single:
        linked = [group for group in groups if any(part.names & sentence.names for part in group)]
        groups = [group for group in groups if group not in linked]
        groups.append((*(part for group in linked for part in group), sentence))
    return single, tuple((_joined(group), _links(group)) for group in groups if len(group) > 1)


def _joined(parts: Sequence[Words]) -> Words:
    return Words(
        frozenset().union(*(part.content for part in parts)),
        frozenset().union(*(part.names for part in parts)),
        any(part.negated for part in parts),
    )


def _links(parts: Sequence[Words]) -> frozenset[str]:
    counts = Counter(name for part in parts for name in part.names)
    return frozenset(name for name, count in counts.items() if count > 1)
