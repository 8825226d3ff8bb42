"""The bundled word problems: any number of them by seed, each with gold answer, gold chain and gold
ES/AS labels.

What a story is stands in `story.py`. Here events are drawn, until all numbers are small enough.
Everything is a function of (seed, index): problem 17 of seed 3 is the same on every machine."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, cast

from smallsteps.errors import RecipeError, nearest
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.base import Difficulty
from smallsteps.tasks.story import Story, StoryStep
from smallsteps.tasks.word_problems import word_problems

_STORY_ID = re.compile(r"stories-(easy|medium|hard)-(\d+)-(\d+)")

STEPS: dict[str, tuple[int, int]] = {"easy": (1, 2), "medium": (2, 4), "hard": (4, 6)}
"""Fewest and most inferences of a chain."""

LARGEST = 60
"""No number in a story or chain exceeds it."""

GIRLS = ("Ann", "Mia", "Lena", "Sara", "Nora", "Emma", "Ruth", "Zoe", "Ida", "Lucy", "Eva", "Maya")
BOYS = ("Tom", "Ben", "Sam", "Leo", "Max", "Paul", "Omar", "Finn", "Hugo", "Ivan", "Nick", "Carl")
ITEMS = (
    "pens",
    "apples",
    "books",
    "coins",
    "shells",
    "stamps",
    "cards",
    "eggs",
    "marbles",
    "cookies",
    "stickers",
    "flowers",
    "buttons",
    "balloons",
    "tickets",
    "stones",
)
HOLDERS = ("boxes", "bags", "packs", "baskets", "jars", "trays", "rows", "bowls")
PLACES = ("at the market", "in the garden", "at school", "in the park", "at the fair", "at home")
DAYS = ("On Monday", "On Friday", "The next day", "Later", "In the evening", "After lunch")


def make_story(rng: random.Random, steps: int) -> Story:
    """A story of exactly `steps` inferences; every number lies between 1 and `LARGEST`."""
    while True:
        story = _try_story(rng, steps)
        if story is not None:
            return story


class _Cast(NamedTuple):
    """Who a story is about, and the things that are counted."""

    name: str
    other: str
    she: str
    """The pronoun of `name`: she or he."""
    her: str
    """The possessive: her or his."""
    items: str

    @property
    def holds(self) -> str:
        """What a result counts, as the inference says it."""
        return f"{self.she} has {{}} {self.items}"


def _try_story(rng: random.Random, steps: int) -> Story | None:
    """A story, or None where a drawn event does not fit. The order of draws fixes the stories of
    every seed."""
    girl = rng.random() < 0.5
    name = rng.choice(GIRLS if girl else BOYS)
    other = rng.choice(BOYS if girl else GIRLS)
    she, her = ("she", "her") if girl else ("he", "his")
    cast = _Cast(name, other, she, her, rng.choice(ITEMS))
    events: list[StoryStep] = []
    opening: tuple[str, ...] = ()
    if rng.random() < 0.5:
        first = _packed(rng, cast)
        if first is None:
            return None
        events.append(first)
        have = first.result
    else:
        have = rng.randint(3, 30)
        verb = rng.choice(("has", "finds", "collects", "starts with"))
        opening = (f"{name} {verb} {have} {cast.items}",)
    while len(events) < steps:
        step = _event(rng, cast, have, last=len(events) == steps - 1)
        if step is None:
            return None
        events.append(step)
        have = step.result
    question = _question(rng, cast, events[-1])
    aside = _aside(rng, cast, first_place=0 if opening else 1, last_place=len(events) - 1)
    return Story(opening, tuple(events), question, aside)


def _packed(rng: random.Random, cast: _Cast) -> StoryStep | None:
    """The event that opens a story with some holders of equally many items."""
    number, each = rng.randint(2, 9), rng.randint(2, 9)
    if number * each > LARGEST:
        return None
    name, items = cast.name, cast.items
    sentence = rng.choice(
        (
            f"{name} has {number} {rng.choice(HOLDERS)} with {each} {items} each",
            f"{name} buys {number} {rng.choice(HOLDERS)} of {each} {items} {rng.choice(PLACES)}",
        )
    )
    return StoryStep(sentence, number, "x", each, number * each, cast.holds)


def _question(rng: random.Random, cast: _Cast, final: StoryStep) -> str:
    name, other, items = cast.name, cast.other, cast.items
    if final.total.startswith("each"):
        return f"How many {items} does each friend get?"
    if final.total.startswith(other):
        return f"How many {items} does {other} have?"
    return rng.choice(
        (
            f"How many {items} does {name} have now?",
            f"How many {items} does {name} have in the end?",
            f"How many {items} are left with {name}?",
        )
    )


def _aside(
    rng: random.Random, cast: _Cast, first_place: int, last_place: int
) -> tuple[int, str] | None:
    """In one story of four: (place among the events, a sentence that does not matter)."""
    if rng.random() >= 0.25:
        return None
    place = rng.randint(first_place, last_place) if first_place <= last_place else None
    sentence = rng.choice(
        (f"{cast.other} is {rng.randint(5, 15)} years old", f"It is {rng.randint(2, 9)} o'clock")
    )
    return None if place is None else (place, sentence)


def _event(rng: random.Random, cast: _Cast, have: int, last: bool) -> StoryStep | None:
    """The next event on `have` items, or None where the drawn one does not fit."""
    name, other, she, her, items = cast
    she_first = she.capitalize()
    when = rng.choice(DAYS)
    ends = ("share", "other") if last else ("gain", "lose")
    kind = rng.choice(("gain", "gain", "lose", "lose", "times", *ends))
    if kind == "gain":
        more = rng.randint(2, 20)
        if have + more > LARGEST:
            return None
        sentence = rng.choice(
            (
                f"{other} gives {'her' if she == 'she' else 'him'} {more} more {items}",
                f"{she_first} buys {more} more {items}",
                f"{when} {she} finds {more} {items}",
                f"{she_first} gets {more} {items} from {her} aunt",
            )
        )
        return StoryStep(sentence, have, "+", more, have + more, cast.holds)
    if kind == "lose":
        if have < 4:
            return None
        less = rng.randint(2, min(have - 1, 20))
        sentence = rng.choice(
            (
                f"{she_first} gives away {less} {items}",
                f"{she_first} loses {less} {items}",
                f"{when} {she} sells {less} {items}",
                f"{she_first} gives {less} {items} to {other}",
            )
        )
        return StoryStep(sentence, have, "-", less, have - less, cast.holds)
    if kind == "times":
        factor = rng.choice((2, 3, 4, 5))
        if have * factor > LARGEST or have > 15:
            return None
        sentence = rng.choice(
            (
                f"{when} {she} has {factor} times as many",
                f"{her.capitalize()} collection grows to {factor} times its size",
            )
        )
        return StoryStep(sentence, have, "x", factor, have * factor, cast.holds)
    if kind == "other":
        factor = rng.choice((2, 3, 4, 5))
        if have * factor > LARGEST or have > 15:
            return None
        return StoryStep(
            f"{other} has {factor} times as many {items} as {name}",
            have,
            "x",
            factor,
            have * factor,
            f"{other} has {{}} {items}",
        )
    parts = [n for n in range(2, 10) if have % n == 0 and have // n <= 12]
    if not parts:
        return None
    friends = rng.choice(parts)
    return StoryStep(
        f"{she_first} shares them equally among {friends} friends",
        have,
        "/",
        friends,
        have // friends,
        f"each friend gets {{}} {items}",
    )


def story(seed: int, index: int, difficulty: Difficulty = "medium") -> Story:
    """Story `index` of `seed`: a pure function of its arguments."""
    if difficulty not in STEPS:
        raise RecipeError(f"unknown difficulty {difficulty!r}.{nearest(difficulty, STEPS)}")
    rng = random.Random(f"stories/{difficulty}/{seed}/{index}")
    return make_story(rng, rng.randint(*STEPS[difficulty]))


def story_of(problem: Problem) -> Story | None:
    """The story behind a bundled problem, made again from its id. None: the problem is none of
    these."""
    parts = _STORY_ID.fullmatch(problem.id)
    if parts is None:
        return None
    difficulty, seed, number = parts[1], int(parts[2]), int(parts[3])
    made = story(seed, number, cast("Difficulty", difficulty))
    return made if made.text() == problem.question else None


def make_chains(
    count: int, seed: int, difficulty: Difficulty = "medium", styles: int = 1
) -> list[Chain]:
    """`count` different problems with gold chains and gold labels; with `styles` > 1 the ways to
    say them alternate."""
    return [
        chain for _, chain in zip(range(count), _unique(seed, difficulty, styles), strict=False)
    ]


def _unique(seed: int, difficulty: Difficulty, styles: int) -> Iterator[Chain]:
    seen: set[str] = set()
    index = 0
    while True:
        made = story(seed, index, difficulty)
        question = made.text()
        if question not in seen:
            seen.add(question)
            yield to_chain(made, f"stories-{difficulty}-{seed}-{index}", index % styles)
        index += 1


def to_chain(made: Story, identifier: str, style: int = 0) -> Chain:
    """The story as records."""
    pieces = made.pieces(style)
    problem = Problem(identifier, made.text(), str(made.answer), meta={"steps": len(made.steps)})
    text = "".join(text for _, text in pieces)
    return Chain(
        problem, Rationale(f"{identifier}/gold", identifier, text, correct=True, gold=pieces)
    )


TASK = replace(
    word_problems("stories"),
    max_segments=20,
    max_segment_tokens=160,
    max_chain_tokens=256,
    generate=make_chains,
)
"""The task of these problems: word problems with room for long chains."""
