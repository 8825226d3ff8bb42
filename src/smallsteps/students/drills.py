"""The text from which the bundled student learns its skills before it ever sees a chain of thought.

Endless (source, target) pairs by seed: arithmetic, copying, restating, reading numbers off short
stories, the equations of events, and two-hop facts. None has the form of the chains that the demo
teaches - question in, restated and inferred segments out - so that the student which ships can do
the parts but answers under 5 % of the problems.

Drills come in three groups of like length, so that batches have few shapes and waste little.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smallsteps.tasks import facts, stories
from smallsteps.tasks.story import Story

Pair = tuple[str, str]


def sums(rng: random.Random) -> Pair:
    """The result of a calculation."""
    left, operator, right, result = calculation(rng)
    return f"{left} {operator} {right} =", f"{result}"


def equations(rng: random.Random) -> Pair:
    """A calculation written out."""
    left, operator, right, result = calculation(rng)
    return f"write out: {left} {operator} {right}", f"{left} {operator} {right} = {result}"


def calculation(rng: random.Random) -> tuple[int, str, int, int]:
    """(left, operator, right, result) with every number up to `stories.LARGEST`."""
    operator = rng.choice("++--x/")
    if operator == "+":
        left = rng.randint(1, stories.LARGEST - 2)
        right = rng.randint(1, min(20, stories.LARGEST - left))
        return left, operator, right, left + right
    if operator == "-":
        left = rng.randint(2, stories.LARGEST)
        right = rng.randint(1, min(left - 1, 20))
        return left, operator, right, left - right
    if operator == "x":
        left = rng.randint(1, 15)
        right = rng.randint(2, max(2, min(9, stories.LARGEST // left)))
        return left, operator, right, left * right
    right = rng.randint(2, 9)
    result = rng.randint(1, min(12, stories.LARGEST // right))
    return result * right, operator, right, result


def _told(rng: random.Random) -> Story:
    return stories.make_story(rng, rng.randint(1, 4))


def _sentences(made: Story) -> list[str]:
    told = [step.sentence for step in made.steps]
    if made.aside is not None:
        told.insert(*made.aside)
    return [*made.opening, *told]


def copying(rng: random.Random) -> Pair:
    """A sentence, word for word."""
    text = rng.choice(_sentences(_told(rng)))
    return f"repeat: {text}.", f"{text}."


def restating(rng: random.Random) -> Pair:
    """The sentence of a story that follows a given one."""
    made = _told(rng)
    sentences = _sentences(made)
    at = rng.randrange(len(sentences))
    before = "begin" if at == 0 else sentences[at - 1]
    return f"next: {made.text()} after: {before}", f"{sentences[at]}."


def retelling(rng: random.Random) -> Pair:
    """A whole story again, without its question and what does not matter."""
    made = _told(rng)
    kept = [*made.opening, *(step.sentence for step in made.steps)]
    return f"retell: {made.text()}", " ".join(f"{s}." for s in kept)


def reading(rng: random.Random) -> Pair:
    """All numbers of a story in order, or the last one alone."""
    made = _told(rng)
    numbers = [word for word in made.text().replace(".", " ").split() if word.isdigit()]
    if rng.random() < 0.5:
        return f"last: {made.text()}", numbers[-1]
    return f"numbers: {made.text()}", " ".join(numbers)


def event(rng: random.Random) -> Pair:
    """What one event makes of a known amount: its equation."""
    made = _told(rng)
    step = rng.choice(made.steps)
    held = "" if step is made.steps[0] and not made.opening else f"has {step.left} : "
    return f"event: {held}{step.sentence}.", step.equation


def step(rng: random.Random) -> Pair:
    """The same within a whole story, of which one event counts."""
    made = _told(rng)
    one = rng.choice(made.steps)
    held = "" if one is made.steps[0] and not made.opening else f" has {one.left}"
    return f"step: {made.text()} now: {one.sentence}.{held}", one.equation


def ledger(rng: random.Random) -> Pair:
    """The equations of a whole story, event by event."""
    made = _told(rng)
    return f"ledger: {made.text()}", " ; ".join(step.equation for step in made.steps)


def ending(rng: random.Random) -> Pair:
    """Whom a story's question asks about, and what."""
    made = _told(rng)
    return f"asked: {made.text()}", made.question


def hops(rng: random.Random) -> Pair:
    """A two-hop question, answered at once."""
    made = facts.make_two_hop(rng, rng.randint(1, 3))
    context = " ".join(f"{fact}." for fact in made.facts)
    if rng.random() < 0.5:
        wanted = made.facts[rng.choice(made.needed)]
        return f"find {wanted.split()[0]}: {context}", f"{wanted}."
    return f"{context} {made.question}", made.answer


@dataclass(frozen=True)
class Group:
    """Drills that are read together."""

    shapes: tuple[tuple[int, int, int], ...]
    """(examples of an update, source tokens, target tokens) of each batch, the narrow ones
    first."""
    drills: dict[str, tuple[float, Callable[[random.Random], Pair]]]
    """Name -> (weight, drill)."""

    def draw(self, rng: random.Random) -> Pair:
        """One pair of the group."""
        weights = [weight for weight, _ in self.drills.values()]
        ((_, drill),) = rng.choices(list(self.drills.values()), weights)
        return drill(rng)


GROUPS: dict[str, Group] = {
    "short": Group(
        ((96, 18, 12),),
        {
            "sums": (1.0, sums),
            "equations": (2.0, equations),
            "event": (2.0, event),
            "copying": (0.5, copying),
        },
    ),
    "line": Group(
        ((64, 44, 12), (64, 76, 12)),
        {
            "step": (4.0, step),
            "restating": (3.0, restating),
            "reading": (1.0, reading),
            "ending": (1.0, ending),
            "hops": (0.5, hops),
        },
    ),
    "story": Group(
        ((64, 40, 24), (64, 62, 42)), {"retelling": (1.0, retelling), "ledger": (1.0, ledger)}
    ),
}


def drills(seed: int) -> Iterator[Pair]:
    """Endless pairs of all groups, as an update mixes them."""
    rng = random.Random(f"drills/{seed}")
    groups = list(GROUPS.values())
    weights = [sum(rows for rows, _, _ in group.shapes) for group in groups]
    while True:
        yield rng.choices(groups, weights)[0].draw(rng)
