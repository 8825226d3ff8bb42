"""Splits by question: the same question text, or two parts of the same report, never stand on both
sides.

Several chains of one question (other teachers, other samples, repeated rows) are one group. So are
problems with the same `group`, and what is linked by a chain of both. The regions of a report are
told apart by their report alone: paragraphs that say all is normal are the same words in thousands
of reports, and would tie the whole data set into one group."""

from __future__ import annotations

import random
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Chain, Problem
from smallsteps.streams import hash64

NAMES = ("train", "validation", "test")

Item = TypeVar("Item", Chain, Problem)


@dataclass(frozen=True)
class Split(Generic[Item]):
    """The three parts, each in the order of the data, and what they hold."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    groups: tuple[int, int, int]
    """Different questions (groups) in each part."""
    overlap: int
    """Questions that stand in more than one part, counted after the fact: 0."""

    def __str__(self) -> str:
        sizes = zip(NAMES, (self.train, self.validation, self.test), self.groups, strict=True)
        parts = ", ".join(
            f"{name} {len(part)} rows ({groups} questions)" for name, part, groups in sizes
        )
        return f"{parts}; questions in two parts: {self.overlap}"


def split_problems(
    items: Sequence[Item], seed: int, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> Split[Item]:
    """Train, validation and test by whole groups; `shares` are shares of the groups, and every part
    that has a share gets at least one. The same items, seed and shares give the same split.

    Raises RecipeError where shares do not sum to 1, DataError where there are fewer groups than
    parts."""
    grouping = Grouping()
    for item in items:
        grouping.add(_problem(item))
    homes, sizes = grouping.homes(seed, shares)
    parts: tuple[list[Item], list[Item], list[Item]] = ([], [], [])
    for item, home in zip(items, homes, strict=True):
        parts[home].append(item)
    keys = [{key for item in part for key in _keys(_problem(item))} for part in parts]
    shared = (keys[0] & keys[1]) | (keys[0] & keys[2]) | (keys[1] & keys[2])
    return Split(*parts, groups=sizes, overlap=len(shared))


class Grouping:
    """Which problems must stay together. In memory are about 150 bytes a problem, not its text."""

    def __init__(self) -> None:
        self._first = array("q")
        """For each problem the index of an earlier one that it is tied to, or its own
        (union-find)."""
        self._seen: dict[int, int] = {}
        """Key → index of the first problem that has it."""

    def add(self, problem: Problem) -> None:
        """Ties the next problem to those that it shares a question or a group with."""
        place = len(self._first)
        self._first.append(place)
        for key in _keys(problem):
            low, high = sorted((self._root(self._seen.setdefault(key, place)), self._root(place)))
            self._first[high] = low

    def _root(self, place: int) -> int:
        first = self._first
        while first[place] != place:
            first[place] = first[first[place]]
            place = first[place]
        return place

    def homes(
        self, seed: int, shares: tuple[float, float, float]
    ) -> tuple[bytearray, tuple[int, int, int]]:
        """(for each problem the place of its part in `NAMES`, the number of groups in each part).

        Raises as `split_problems`."""
        if abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
            raise RecipeError(
                "shares must be three numbers from 0 to 1 that sum to 1, such as 0.8 0.1 0.1; "
                f"got {shares}."
            )
        count = len(self._first)
        order = [place for place in range(count) if self._root(place) == place]
        random.Random(f"split/{seed}").shuffle(order)
        wanted = [name for name, share in zip(NAMES, shares, strict=True) if share > 0]
        if len(order) < len(wanted):
            raise DataError(
                f"{count} rows hold {len(order)} different questions, "
                f"too few for {', '.join(wanted)}. "
                f"Give at least {len(wanted)} different questions, better 50 or more."
            )
        sizes = _sizes(len(order), shares)
        home = bytearray(count)
        for number, group in enumerate(order):
            home[group] = (number >= sizes[0]) + (number >= sizes[0] + sizes[1])
        return bytearray(home[self._root(place)] for place in range(count)), sizes


def check_overlap(train: Iterable[Chain | Problem], test: Collection[Chain | Problem]) -> None:
    """Raises DataError, naming the ids, where a question of `test` (or its group) stands in `train`
    as well. In memory are the keys of `test`, not those of `train`."""
    wanted = {key for problem in map(_problem, test) for key in _keys(problem)}
    seen: dict[int, str] = {}
    for problem in map(_problem, train):
        for key in wanted.intersection(_keys(problem)):
            seen.setdefault(key, problem.id)
    pairs: list[tuple[str, str]] = []
    for problem in map(_problem, test) if seen else ():
        other = next((seen[key] for key in _keys(problem) if key in seen), None)
        if other is not None:
            pairs.append((problem.id, other))
    if pairs:
        shown = ", ".join(f"{ours} (in training: {theirs})" for ours, theirs in pairs[:5])
        more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
        raise DataError(
            f"{len(pairs)} of {len(test)} test questions stand in the training data as well: "
            f"{shown}{more}. "
            "Take them out of one of the two files, or give one file alone and let it be split by "
            "question."
        )


def without_overlap(items: Sequence[Item], known: Sequence[Chain | Problem]) -> list[Item]:
    """Those of `items` that are tied to none of `known`, each question once."""
    seen = {key for problem in map(_problem, known) for key in _keys(problem)}
    kept = []
    for item in items:
        keys = _keys(_problem(item))
        if not seen.intersection(keys):
            kept.append(item)
            seen.update(keys)
    return kept


def shared_questions(items: Sequence[Item], known: Iterable[Chain | Problem]) -> list[Item]:
    """Those of `items` whose question (or group) stands in `known` as well. In memory are the keys
    of `items`, not those of `known`."""
    keys = [frozenset(_keys(_problem(item))) for item in items]
    wanted = frozenset().union(*keys)
    seen: set[int] = set()
    for problem in map(_problem, known):
        seen.update(wanted.intersection(_keys(problem)))
    return [item for item, of_item in zip(items, keys, strict=True) if of_item & seen]


def same_words(text: str) -> str:
    """What two texts have in common that differ in white space and case alone."""
    return " ".join(text.casefold().split())


def _problem(item: Chain | Problem) -> Problem:
    return item.problem if isinstance(item, Chain) else item


def _keys(problem: Problem) -> list[int]:
    """What ties a problem to others: its words with the choices and the facts that it rests on
    (white space and case aside), and its group; as hashes of 64 bits, which two of a million
    different keys share with probability 3e-8."""
    words = same_words("\n".join((problem.question, *problem.choices, *_rests_on(problem))))
    if problem.group is None:
        return [_hash("question", words)]
    group = _hash("group", problem.group)
    is_part = problem.id.startswith(f"{problem.group}/")
    return [group] if is_part else [_hash("question", words), group]


def _hash(kind: str, text: str) -> int:
    return hash64(f"{kind}\n{text}")


def _rests_on(problem: Problem) -> list[str]:
    """The supporting sentences of a question with a context, all of them where none are named:
    "Where does Ann live?" is another question where Ann is somebody else, and "Who pays?" where it
    is asked of another letter."""
    if not problem.context:
        return []
    named = {
        (fact[0], fact[1]) for fact in problem.meta.get("supporting_facts") or () if len(fact) == 2
    }
    return sorted(
        sentence
        for title, sentences in problem.context
        for place, sentence in enumerate(sentences)
        if not named or (title, place) in named
    )


def _sizes(count: int, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    """Groups in each part: rounded shares, one at least where there is a share, the largest part
    taking the rest."""
    sizes = [0 if share == 0 else max(1, round(count * share)) for share in shares]
    sizes[sizes.index(max(sizes))] += count - sum(sizes)
    return sizes[0], sizes[1], sizes[2]
