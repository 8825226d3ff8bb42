"""Drills: the text that the bundled students are pre-trained on.

Endless (source, target) pairs by seed: arithmetic, copying, restating, reading numbers off short
stories, the equations of events, and two-hop facts. None has the form of the chains that the demo
teaches (question in, restated and inferred segments out), so that the students which ship can do
the parts but write no answer sentence. docs/students.md says what they write untaught.

Drills come in three groups of similar length, so that batches have few shapes and little padding.
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


def _story(rng: random.Random) -> Story:
    """A story of one to four steps."""
    return stories.make_story(rng, rng.randint(1, 4))


def _sentences(story: Story) -> list[str]:
    """All sentences of a story but its question, in order."""
    sentences = [step.sentence for step in story.steps]
    if story.aside is not None:
        sentences.insert(*story.aside)
    return [*story.opening, *sentences]


def copying(rng: random.Random) -> Pair:
    """A sentence, word for word."""
    text = rng.choice(_sentences(_story(rng)))
    return f"repeat: {text}.", f"{text}."


def restating(rng: random.Random) -> Pair:
    """The sentence of a story that follows a given one."""
    story = _story(rng)
    sentences = _sentences(story)
    at = rng.randrange(len(sentences))
    before = "begin" if at == 0 else sentences[at - 1]
    return f"next: {story.text()} after: {before}", f"{sentences[at]}."


def retelling(rng: random.Random) -> Pair:
    """A whole story again, without its question and the aside."""
    story = _story(rng)
    sentences = [*story.opening, *(step.sentence for step in story.steps)]
    return f"retell: {story.text()}", " ".join(f"{sentence}." for sentence in sentences)


def reading(rng: random.Random) -> Pair:
    """All numbers of a story in order, or the last one alone."""
    story = _story(rng)
    numbers = [word for word in story.text().replace(".", " ").split() if word.isdigit()]
    if rng.random() < 0.5:
        return f"last: {story.text()}", numbers[-1]
    return f"numbers: {story.text()}", " ".join(numbers)


def event(rng: random.Random) -> Pair:
    """The equation of one event, given the amount before it."""
    story = _story(rng)
    step = rng.choice(story.steps)
    amount = "" if step is story.steps[0] and not story.opening else f"has {step.left} : "
    return f"event: {amount}{step.sentence}.", step.equation


def step(rng: random.Random) -> Pair:
    """The equation of one event within a whole story."""
    story = _story(rng)
    chosen = rng.choice(story.steps)
    amount = "" if chosen is story.steps[0] and not story.opening else f" has {chosen.left}"
    return f"step: {story.text()} now: {chosen.sentence}.{amount}", chosen.equation


def ledger(rng: random.Random) -> Pair:
    """The equations of a whole story, event by event."""
    story = _story(rng)
    return f"ledger: {story.text()}", " ; ".join(step.equation for step in story.steps)


def ending(rng: random.Random) -> Pair:
    """The question of a story."""
    story = _story(rng)
    return f"asked: {story.text()}", story.question


def unprompted(rng: random.Random) -> Pair:
    """A story that nothing is asked to be done with: its question again. So a student that has not
    been taught does not try the drill that suits the story."""
    story = stories.make_story(rng, rng.randint(1, 6))
    return story.text(), story.question


def hops(rng: random.Random) -> Pair:
    """A two-hop question, answered at once."""
    question = facts.make_two_hop(rng, rng.randint(1, 3))
    context = " ".join(f"{fact}." for fact in question.facts)
    if rng.random() < 0.5:
        wanted = question.facts[rng.choice(question.needed)]
        return f"find {wanted.split()[0]}: {context}", f"{wanted}."
    return f"{context} {question.question}", question.answer


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


def drills(rng: random.Random, share_unprompted: float = 0.0) -> Iterator[Pair]:
    """Endless pairs of all groups, as an update mixes them, and this share of unprompted ones."""
    groups = list(GROUPS.values())
    weights = [sum(rows for rows, _, _ in group.shapes) for group in groups]
    while True:
        if share_unprompted and rng.random() < share_unprompted:
            yield unprompted(rng)
        else:
            yield rng.choices(groups, weights)[0].draw(rng)
