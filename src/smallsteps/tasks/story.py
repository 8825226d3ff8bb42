"""A word problem with everything that its generator knows, and the ways to say its chain.

A story is a state (who holds how many of what) and events that change it. Each event is one
sentence of the question, one extractive piece of the chain (the sentence again) and one abstractive
piece (the equation it leads to). Since it is known which piece is which, segmentations can be
checked without people. Since each event's arithmetic is known, a student's chain can be checked
step by step and the correction written (`teaching/story_solver.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from smallsteps.records import Kind

STYLES = 5
"""Ways to say the same chain: three wordings and two orders."""


@dataclass(frozen=True)
class StoryStep:
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

        >>> StoryStep("He buys 17 more pens", 25, "+", 17, 42, "he has {} pens").smaller()
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
    steps: tuple[StoryStep, ...]
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
