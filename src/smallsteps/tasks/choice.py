"""Multiple choice: CommonsenseQA.

The question is put with its options, "(a) … (b) …"; a chain closes with the text of the chosen one. The closing
decides: a rule such as "the first letter in brackets wins" picks whatever option the reasoning discusses first, often
to reject it.
"""

from __future__ import annotations

import re
from string import ascii_lowercase

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, normalise, same_text

_LETTERED = re.compile(
    r"(?:option|choice|letter)?\s*(?:\(([A-Za-z])\)|([A-Za-z])\)|([A-Z])(?:[.:,]|$)|([a-z])[.:]?$)\s*(.*)", re.DOTALL
)


def render_choices(problem: Problem) -> str:
    """The question with its options: `Where do beavers live? (a) zoo (b) river`."""
    options = " ".join(f"({letter}) {choice}" for letter, choice in zip(ascii_lowercase, problem.choices, strict=False))
    return f"{problem.question.strip()} {options}".strip()


def choose(said: str, choices: tuple[str, ...]) -> str | None:
    """The one choice that `said` names, by its text, by its letter, or by holding its text; None where it names none or
    several, or where letter and text contradict each other. Without choices: what is said, its letter alone if it has
    one.

    >>> choose("(B) the river.", ("zoo", "river")), choose("(a) river", ("zoo", "river"))
    ('river', None)
    """
    said = said.strip(" \t\n\"'*").strip()
    if not any(c.isalnum() for c in said):
        return None
    exact = [choice for choice in choices if normalise(choice) == normalise(said)]
    if exact:
        return exact[0]
    lettered = _LETTERED.fullmatch(said)
    letter = next((g for g in lettered.groups()[:4] if g), None) if lettered else None
    rest = (lettered[5] if lettered else said).strip(" .")
    if not choices:
        return rest or letter
    by_text = _named(rest, choices)
    if letter is None:
        return by_text[0] if len(by_text) == 1 else None
    place = ascii_lowercase.index(letter.lower())
    by_letter = choices[place] if place < len(choices) else None
    return by_letter if not by_text or by_letter in by_text else None


def _named(text: str, choices: tuple[str, ...]) -> list[str]:
    """The choices whose words stand in `text`, without those that stand inside another one ("park" in "state park")."""
    found = [c for c in choices if re.search(rf"(?<!\w){re.escape(normalise(c))}(?!\w)", normalise(text))]
    return [c for c in found if not any(c is not d and normalise(c) in normalise(d) for d in found)]


def extract_choice(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """The choice that the closing names; lenient: else the choice mentioned last, by bracketed letter or by text."""
    choices = problem.choices if problem else ()
    tail = closing_tail(text)
    said = choose(tail, choices) if tail is not None else None
    return said if said is not None or not lenient else _last_mentioned(text, choices)


def _last_mentioned(text: str, choices: tuple[str, ...]) -> str | None:
    places: list[tuple[int, int, str]] = []
    for letter, choice in zip(ascii_lowercase, choices, strict=False):
        words = r"\s+".join(re.escape(word) for word in choice.split())
        for match in re.finditer(rf"\({letter}\)|(?<!\w){words}(?!\w)", text, re.IGNORECASE):
            places.append((match.end(), match.end() - match.start(), choice))
    return max(places)[2] if places else None


COMMONSENSEQA = Task(name="commonsenseqa", render=render_choices, extract=extract_choice, same=same_text)
