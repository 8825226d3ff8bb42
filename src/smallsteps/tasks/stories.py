"""The bundled word problems: any number of them by seed, each with gold answer, gold chain and gold
ES/AS labels.

A story is a state (who holds how many of what) and events that change it. Each event is one
sentence of the question, one extractive piece of the chain (the sentence again) and one abstractive
piece (the equation it leads to). Since the generator knows which piece is which, segmentations can
be checked without people, and since it knows each event's arithmetic, it can check a student's
chain step by step and write the correction.

Everything is a function of (seed, index): problem 17 of seed 3 is the same on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from smallsteps.errors import RecipeError, nearest
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.tasks.base import Difficulty
from smallsteps.tasks.word_problems import word_problems

STEPS: dict[str, tuple[int, int]] = {"easy": (1, 2), "medium": (2, 4), "hard": (4, 6)}
"""Fewest and most inferences of a chain."""

STYLES = 5
"""Ways to say the same chain: three wordings and two orders."""

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


@dataclass(frozen=True)
class Step:
    """One event: the sentence it is told in and the equation it leads to."""

    sentence: str
    """Without its full stop."""
    left: int
    operator: str
    right: int
    result: int
    total: str = ""
    """What the result counts, as the inference says it: `she has {} pens`."""

    @property
    def equation(self) -> str:
        return f"{self.left} {self.operator} {self.right} = {self.result}"

    def smaller(self) -> list[str]:
        """The inference in smaller steps, without full stops; the last one is the inference itself.
        In words that the bundled student has tokens for.

        >>> Step("He buys 17 more pens", 25, "+", 17, 42, "he has {} pens").smaller()
        ['We know this: 25 + 10 = 35', 'Hence 35 + 7 = 42', 'So he has 25 + 17 = 42 pens']
        """
        a, b, sign = self.left, self.right, self.operator
        if sign in "+-":
            # whole tens first; or, for a small number, up or down to the next whole ten; or all but
            # one
            to_ten = (10 - a % 10) if sign == "+" else a % 10
            part = 10 * (b // 10) if b > 10 else to_ten
            part = part if 0 < part < b else b - 1
            between = a + part if sign == "+" else a - part
            small = [
                f"{a} {sign} {part} = {between}",
                f"{between} {sign} {b - part} = {self.result}",
            ]
        elif sign == "x" and a > 10 and a % 10:
            tens, ones = 10 * (a // 10) * b, (a % 10) * b
            small = [
                f"{10 * (a // 10)} x {b} = {tens}",
                f"{a % 10} x {b} = {ones}",
                f"{tens} + {ones} = {self.result}",
            ]
        elif sign == "x" and b > 2:
            small = [f"{a} x {b - 1} = {a * (b - 1)}", f"{a * (b - 1)} + {a} = {self.result}"]
        elif sign == "x":
            small = [f"{a} + {a} = {self.result}"]
        else:
            small = [f"{self.result} x {b} = {a}"]
        steps = [
            f"{'Hence' if place else 'We know this:'} {equation}"
            for place, equation in enumerate(small)
        ]
        return [*steps, f"So {self.total.format(self.equation)}"]


@dataclass(frozen=True)
class Story:
    """A word problem with everything its generator knows."""

    opening: tuple[str, ...]
    """Sentences told before the first event, without full stops."""
    steps: tuple[Step, ...]
    question: str
    aside: tuple[int, str] | None = None
    """A sentence that does not matter, and the event it stands before."""

    @property
    def answer(self) -> int:
        return self.steps[-1].result

    def text(self) -> str:
        """The question as it is put."""
        sentences = [step.sentence for step in self.steps]
        if self.aside is not None:
            sentences.insert(*self.aside)
        return (
            " ".join(f"{sentence}." for sentence in (*self.opening, *sentences))
            + f" {self.question}"
        )

    def pieces(self, style: int = 0, expand: int | None = None) -> tuple[tuple[Kind, str], ...]:
        """The gold chain as (kind, sub-sentence), closing included; the texts joined are the chain.
        `expand`: the place of an inference to be taken apart into smaller ones, or, past the last,
        the result said once more."""
        chain: list[tuple[Kind, str]] = [("ES", f"{sentence}. ") for sentence in self.opening]
        if style == 4:
            chain += [("ES", f"{step.sentence}. ") for step in self.steps]
        for place, step in enumerate(self.steps):
            restated, inferred = f"{step.sentence}. ", step.total.format(step.equation)
            if place == expand:
                chain += [("ES", restated)] if style != 4 else []
                chain += [("AS", f"{small}. ") for small in step.smaller()]
            elif style == 0:
                chain += [("ES", f"{step.sentence}, "), ("AS", f"so {inferred}. ")]
            elif style == 1:
                chain += [("ES", restated), ("AS", f"That means {inferred}. ")]
            elif style == 2:
                chain += [("ES", "We know this: "), ("ES", restated), ("AS", f"Hence {inferred}. ")]
            elif style == 3:
                chain += [("AS", f"{_capitalized(inferred)}: "), ("ES", restated)]
            else:
                chain += [("AS", f"Hence {inferred}. ")]
        if expand == len(self.steps):
            chain += [("AS", f"That means {self.steps[-1].total.format(self.answer)}. ")]
        return (*chain, ("ES", f"The answer is {self.answer}."))


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def make_story(rng: random.Random, steps: int) -> Story:
    """A story of exactly `steps` inferences; every number lies between 1 and `LARGEST`."""
    while True:
        story = _try_story(rng, steps)
        if story is not None:
            return story


def _try_story(rng: random.Random, steps: int) -> Story | None:
    girl = rng.random() < 0.5
    name = rng.choice(GIRLS if girl else BOYS)
    other = rng.choice(BOYS if girl else GIRLS)
    pronoun, possessive = ("she", "her") if girl else ("he", "his")
    items = rng.choice(ITEMS)
    holds = f"{pronoun} has {{}} {items}"
    events: list[Step] = []
    opening: tuple[str, ...] = ()
    if rng.random() < 0.5:
        number, each = rng.randint(2, 9), rng.randint(2, 9)
        if number * each > LARGEST:
            return None
        sentence = rng.choice(
            (
                f"{name} has {number} {rng.choice(HOLDERS)} with {each} {items} each",
                f"{name} buys {number} {rng.choice(HOLDERS)} of {each} {items} "
                f"{rng.choice(PLACES)}",
            )
        )
        events.append(Step(sentence, number, "x", each, number * each, holds))
        have = number * each
    else:
        have = rng.randint(3, 30)
        verb = rng.choice(("has", "finds", "collects", "starts with"))
        opening = (f"{name} {verb} {have} {items}",)
    while len(events) < steps:
        last = len(events) == steps - 1
        step = _event(rng, have, last, name, other, pronoun, possessive, items, holds)
        if step is None:
            return None
        events.append(step)
        have = step.result
    final = events[-1]
    if final.total.startswith("each"):
        question = f"How many {items} does each friend get?"
    elif final.total.startswith(other):
        question = f"How many {items} does {other} have?"
    else:
        question = rng.choice(
            (
                f"How many {items} does {name} have now?",
                f"How many {items} does {name} have in the end?",
                f"How many {items} are left with {name}?",
            )
        )
    aside = None
    if rng.random() < 0.25:
        place = (
            rng.randint(0 if opening else 1, len(events) - 1)
            if opening or len(events) > 1
            else None
        )
        sentence = rng.choice(
            (f"{other} is {rng.randint(5, 15)} years old", f"It is {rng.randint(2, 9)} o'clock")
        )
        aside = (place, sentence) if place is not None else None
    return Story(opening, tuple(events), question, aside)


def _event(
    rng: random.Random,
    have: int,
    last: bool,
    name: str,
    other: str,
    she: str,
    her: str,
    items: str,
    holds: str,
) -> Step | None:
    """The next event on `have` items, or None where the drawn one does not fit."""
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
        return Step(sentence, have, "+", more, have + more, holds)
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
        return Step(sentence, have, "-", less, have - less, holds)
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
        return Step(sentence, have, "x", factor, have * factor, holds)
    if kind == "other":
        factor = rng.choice((2, 3, 4, 5))
        if have * factor > LARGEST or have > 15:
            return None
        return Step(
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
    return Step(
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
