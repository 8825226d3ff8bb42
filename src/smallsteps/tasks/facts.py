"""The bundled two-hop questions: a context of short facts, a question that needs two of them, gold
chain and labels.

Everything is a function of (seed, index), as in `stories`. Half of the questions go from a person
over a town to its country, half from a person over a firm to what it makes; the facts of other
people stand beside the two that count."""

from __future__ import annotations

import random
from dataclasses import dataclass

from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.tasks.base import Difficulty

PEOPLE = (
    "Ann",
    "Mia",
    "Lena",
    "Sara",
    "Nora",
    "Emma",
    "Ruth",
    "Zoe",
    "Tom",
    "Ben",
    "Sam",
    "Leo",
    "Max",
    "Paul",
    "Omar",
    "Finn",
)
TOWNS = (
    "Rome",
    "Lyon",
    "Oslo",
    "Bern",
    "Porto",
    "Graz",
    "Turin",
    "Cork",
    "Lund",
    "Delft",
    "Riga",
    "Split",
    "Ghent",
    "Basel",
)
LANDS = (
    "Italy",
    "France",
    "Norway",
    "Spain",
    "Greece",
    "Poland",
    "Sweden",
    "Ireland",
    "Latvia",
    "Belgium",
    "Peru",
    "Chile",
)
FIRMS = (
    "Arcadia",
    "Bluefin",
    "Corona",
    "Delta",
    "Everest",
    "Falcon",
    "Granite",
    "Harbor",
    "Indigo",
    "Jupiter",
)
GOODS = ("pens", "boats", "clocks", "shoes", "lamps", "bikes", "toys", "chairs", "drums", "books")


@dataclass(frozen=True)
class TwoHop:
    """A question over two facts, with everything its generator knows."""

    facts: tuple[str, ...]
    """All sentences of the context, the two that count among them, in the order told."""
    needed: tuple[int, int]
    """Indices of the two facts, in the order of reasoning."""
    question: str
    conclusion: str
    answer: str

    def pieces(self) -> tuple[tuple[Kind, str], ...]:
        """The gold chain as (kind, sub-sentence), closing included."""
        first, second = (self.facts[i] for i in self.needed)
        return (
            ("ES", f"{first}. "),
            ("ES", f"{second}. "),
            ("AS", f"So {self.conclusion}. "),
            ("ES", f"The answer is {self.answer}."),
        )


def two_hop(seed: int, index: int, distractors: int = 4) -> TwoHop:
    """Question `index` of `seed`, its two facts hidden among `2 x distractors` others."""
    return make_two_hop(random.Random(f"facts/{seed}/{index}"), distractors)


def make_two_hop(rng: random.Random, distractors: int) -> TwoHop:
    """A two-hop question in a context of `2 + 2 x distractors` facts."""
    count = distractors + 1
    people = rng.sample(PEOPLE, count)
    bridge = rng.random() < 0.5
    middles = rng.sample(TOWNS if bridge else FIRMS, count)
    ends = [rng.choice(LANDS if bridge else GOODS) for _ in range(count)]
    lives, lies = ("lives in", "is a town in") if bridge else ("works for", "makes")
    first = [f"{person} {lives} {middle}" for person, middle in zip(people, middles, strict=True)]
    second = [f"{middle} {lies} {end}" for middle, end in zip(middles, ends, strict=True)]
    facts = first + second
    rng.shuffle(facts)
    needed = (facts.index(first[0]), facts.index(second[0]))
    if bridge:
        question, conclusion = (
            f"In which country does {people[0]} live?",
            f"{people[0]} lives in {ends[0]}",
        )
    else:
        question, conclusion = (
            f"What does the firm of {people[0]} make?",
            f"the firm of {people[0]} makes {ends[0]}",
        )
    return TwoHop(tuple(facts), needed, question, conclusion, ends[0])


def make_chains(count: int, seed: int, distractors: int = 4) -> list[Chain]:
    """`count` problems with context, gold chain and gold labels."""
    chains = []
    for index in range(count):
        made = two_hop(seed, index, distractors)
        identifier = f"facts-{seed}-{index}"
        context = tuple((fact.split()[0], (f"{fact}.",)) for fact in made.facts)
        supporting = [[made.facts[i].split()[0], 0] for i in made.needed]
        problem = Problem(
            identifier,
            made.question,
            made.answer,
            context=context,
            meta={"supporting_facts": supporting},
        )
        pieces = made.pieces()
        text = "".join(text for _, text in pieces)
        chains.append(
            Chain(
                problem,
                Rationale(f"{identifier}/gold", identifier, text, correct=True, gold=pieces),
            )
        )
    return chains


DISTRACTORS: dict[Difficulty, int] = {"easy": 2, "medium": 4, "hard": 8}
"""Difficulty → pairs of facts beside the two that count."""


def generate(count: int, seed: int, difficulty: Difficulty) -> list[Chain]:
    """`make_chains` by difficulty: `Task.generate`."""
    return make_chains(count, seed, DISTRACTORS[difficulty])
