"""A chat model as the judge of aspects (in the manner of G-Eval, Liu et al. 2023): it reads a
rationale with its question and context, and rates one aspect a call from 1 to 5.

A rating becomes a score by (rating - 1) / 4. It is read from the first of these places:

    the last "Score: 4", "Rating = 4", "The score is 4/5", "**Score:** 4 out of 5" in the reply
    its first line, where that is a number alone

A number outside 1..5, a range ("1 to 5"), another scale ("4/10") and words are no rating. Then the
model is asked once more, with its own reply before it. A rating that cannot be read then, like a
refused or empty reply, is None, and is counted. A reply that did not come (a limit, the network)
ends the job, which can continue later: replies are stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from smallsteps.errors import TeacherError
from smallsteps.generation.generator import (
    ChatGenerator,
    Decoding,
    Messages,
    Reply,
    Request,
    check_all_came,
)
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.rated import Rated
from smallsteps.tasks.clean import reply_text
from smallsteps.teaching.prompts import Prompt

LEAST, MOST = 1, 5
"""Ends of the scale."""
AGAIN = "Reply with one line and nothing else: Score: N, where N is a number from 1 to 5."

_NUMBER = r"(\d+(?:\.\d+)?)(?![\d.]*\d)\s*(?:(?:/|out of)\s*(\d+)(?!\d))?"
_RANGE = r"(?!\s*(?:-|–|to\b)\s*\d)"
_MARKED = re.compile(
    rf"\b(?:score|rating)\b[\s*_\"'`]*(?::|=|\bis\b|\bof\b)[\s*_\"'`]*{_NUMBER}{_RANGE}",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"[\s*_\"'`]*{_NUMBER}[\s*_\"'`.]*", re.IGNORECASE)

Place = tuple[int, str]
"""(number of the rationale, aspect)"""


@dataclass
class PromptedJudge:
    """An `AspectJudge` that asks a chat model."""

    name: str
    generator: ChatGenerator
    prompts: Mapping[str, Prompt]
    """Aspect → how it is asked for."""
    decoding: Decoding = field(default_factory=lambda: Decoding(max_new_tokens=64))
    asked: Counter[str] = field(default_factory=Counter)
    """Aspect → ratings wanted so far."""
    unread: Counter[str] = field(default_factory=Counter)
    """Aspect → those of them that could not be read."""

    @property
    def aspects(self) -> tuple[str, ...]:
        """The aspects that it can rate."""
        return tuple(self.prompts)

    def rate(
        self,
        items: Sequence[Rated],
        aspects: Sequence[str],
        progress: Callable[[int], None] | None = None,
    ) -> list[dict[str, float | None]]:
        """Aspect → score (0..1; None: unreadable) of each rationale. An aspect that compares with
        the context is left out where there is none. `progress` receives the number of rationales
        done.

        Raises TeacherError where replies did not come; those that came are stored."""
        messages = self._messages(items, aspects)
        places = list(messages)

        def advance(done: int) -> None:
            if progress:
                progress(done * len(items) // len(places))

        replies = self._replies(messages, advance)
        ratings = {place: read_rating(reply.text) for place, reply in replies.items()}
        again: dict[Place, Messages] = {
            place: (*messages[place], ("assistant", replies[place].text), ("user", AGAIN))
            for place in places
            if ratings[place] is None and replies[place].text.strip()
        }
        ratings |= {place: read_rating(reply.text) for place, reply in self._replies(again).items()}
        scores: list[dict[str, float | None]] = [{} for _ in items]
        for place in places:
            number, aspect = place
            rating = ratings[place]
            self.asked[aspect] += 1
            self.unread[aspect] += rating is None
            scores[number][aspect] = None if rating is None else to_score(rating)
        return scores

    def check_read(self) -> None:
        """Raises TeacherError where no rating could be read so far."""
        asked = self.asked.total()
        if asked and asked == self.unread.total():
            raise TeacherError(
                f"judge {self.name!r}: not one of {asked:,} ratings could be read. Look at its "
                "reply to one rationale. Allow more --judge-tokens, or end your --judge-prompts in "
                '"Reply with one line: Score: N" (recipes: guided.judge.max_new_tokens and '
                "guided.judge.prompts)."
            )

    def forecast(self, items: Sequence[Rated], aspects: Sequence[str]) -> str:
        """One line on what rating them may cost. Raises RecipeError where something must be bought
        and no key is set."""
        messages = self._messages(items, aspects)
        return self.generator.forecast(_requests(messages), self.decoding)

    def _messages(self, items: Sequence[Rated], aspects: Sequence[str]) -> dict[Place, Messages]:
        return {
            (number, aspect): self.prompts[aspect].fill(
                {
                    "question": item.question,
                    "context": "\n".join(item.context),
                    "rationale": item.text,
                },
                item.id,
            )
            for number, item in enumerate(items)
            for aspect in aspects
            if item.context or ASPECTS[aspect].needs != "context"
        }

    def _replies(
        self,
        messages: Mapping[Place, Messages],
        progress: Callable[[int], None] | None = None,
    ) -> dict[Place, Reply]:
        places = list(messages)
        replies = {
            places[int(reply.id)]: reply
            for reply in self.generator.generate(_requests(messages), self.decoding, progress)
        }
        check_all_came("judge", self.name, [reply.error for reply in replies.values()])
        return replies


def _requests(messages: Mapping[Place, Messages]) -> list[Request]:
    return [Request(str(number), prompt) for number, prompt in enumerate(messages.values())]


def read_rating(text: str) -> float | None:
    """The rating, 1 to 5, in a reply; None: there is none.

    >>> read_rating("Score: 4"), read_rating("**Score:** 4.5/5."), read_rating("4")
    (4.0, 4.5, 4.0)
    >>> read_rating("Score: N"), read_rating("Score: 1 to 5"), read_rating("Score: 7")
    (None, None, None)
    """
    text = reply_text(text)  # without thoughts: what stands in a thought is no rating
    marked = list(_MARKED.finditer(text))
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    match = marked[-1] if marked else _ALONE.fullmatch(first_line)
    if match is None or match[2] not in (None, str(MOST)):
        return None
    rating = float(match[1])
    return rating if LEAST <= rating <= MOST else None


def to_score(rating: float) -> float:
    """A rating of 1 to 5 as a score of 0 to 1."""
    return (rating - LEAST) / (MOST - LEAST)


def to_rating(score: float) -> int:
    """The nearest whole rating to a score of 0 to 1; halves round up.

    >>> to_rating(0.0), to_rating(0.62), to_rating(0.63), to_rating(1.0)
    (1, 3, 4, 5)
    """
    return LEAST + int((MOST - LEAST) * score + 0.5)
