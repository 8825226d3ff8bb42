"""Multiple choice: CommonsenseQA.

The question is put with its options, "(a) … (b) …"; a chain closes with the text of the chosen one.
The closing decides: a rule such as "the first letter in brackets wins" picks whatever option the
reasoning discusses first, often to reject it."""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase
from typing import NamedTuple

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, normalise, same_text, undecorated
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.closings import MOST_CHARACTERS, denies, lenient_tail
from smallsteps.tasks.languages import closing_pattern
from smallsteps.tasks.latex import unwrapped
from smallsteps.tasks.sentences import sentences

_OPEN, _CLOSE = r"[(\[{<【「『〔（\"'“”‘’«`*_$]", r"[)\]}>】」』〕）\"'“”‘’»`*_$]"
_DECORATED = re.compile(rf"{_OPEN}{{1,4}}\s?([A-Za-z])\s?([.:)]?){_CLOSE}{{1,4}}")
_REASON = (
    r"because|since|as|for|which|is|so|due|given|and\s+not|not|rather|instead|would|seems|that"
)
_ADVERBS = (
    r"(?:(?:most|very)\s+)?"
    r"(?:likely|probably|definitely|certainly|clearly|obviously|surely|indeed|therefore|thus)"
)
_ALONE = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
_LETTERED = re.compile(
    rf"(?i:{_ADVERBS}\s+)?(?i:the\s+)?(?i:correct\s+|right\s+|best\s+)?(?i:option|choice|letter"
    r"|answer)?\s*:?\s*"
    r"(?:\(([A-Za-z])\)|([A-Za-z])\)"
    rf"|([A-Z])(?=\s*(?:[.:,;!?=/&–—-]|\(|$)|\s+(?:{_REASON}|or|and|nor)\b)|([a-z])(?=[.:]?$))"
    r"\s*[.:,;=–—-]*\s*(.*)",
    re.DOTALL,
)
_REASONS = re.compile(rf"(?:^|[\s,;(–—-])(?:{_REASON})\b.*", re.DOTALL | re.IGNORECASE)
_OTHER_LETTER = re.compile(
    r"\(?([A-Z])\)?\s*(?:$|[,;/&]|\bor\b|\band\b)"
    r"|(?:or|and|nor|and/or|/|&|,\s*(?:or|and)?|\bor\s+maybe)\s*\(?([A-Za-z])\)?(?![^\W_])"
)
_DENIED = re.compile(
    rf"(?:{_ADVERBS}\s+)?(?:not|n['’]t|never|neither|nor|none\s+of|any(?:thing|one)?\s+(?:but"
    r"|except|other\s+than)"
    r"|other\s+than|hardly|unlikely|no)\b",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"(?:\b(?:but|rather|instead)\b|[,;]\s*it(?:['’]s|\s+is)\b)(?:\s+(?:rather"
    r"|instead))?[\s,:]*(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_CONTRAST = re.compile(
    r"[\s,;(–—-]+(?:and\s+|but\s+)?(?:not|never|rather\s+than|instead\s+of|as\s+opposed\s+to"
    r"|because|since)\b.*",
    re.IGNORECASE | re.DOTALL,
)


def render_choices(problem: Problem) -> str:
    """The question with its options: `Where do beavers live? (a) zoo (b) river`."""
    options = " ".join(
        f"({letter}) {choice}"
        for letter, choice in zip(ascii_lowercase, problem.choices, strict=False)
    )
    return f"{problem.question.strip()} {options}".strip()


class _Lettered(NamedTuple):
    letter: str | None
    rest: str


def choose(text: str, choices: tuple[str, ...]) -> str | None:
    """The one choice that `text` names, by its text, by its letter, or by holding its text; None
    where it names none or several, denies one, or where letter and text contradict each other.
    Without choices: what is said, its letter alone if it has one.

    >>> [choose(text, ("zoo", "river")) for text in ("(B) the river.", "(a) river", "not B")]
    ['river', None, None]
    """
    text = unwrapped(unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]))
    text = undecorated(_DECORATED.sub(r"(\1)\2", text)).strip(" \t\n\"'*$").strip()
    if not any(c.isalnum() for c in text):
        return None
    exact = [choice for choice in choices if normalise(choice) == normalise(text)]
    if exact:
        return exact[0]
    denied = _DENIED.match(text)
    if denied is not None:
        but = _BUT.search(text, denied.end())
        return choose(but["rest"], choices) if but is not None else None
    letter, rest = _lettered(text)
    if not choices:
        return rest or letter
    if letter is None:
        return _one_named(text, choices)
    place = ascii_lowercase.index(letter.lower())
    by_letter = choices[place] if place < len(choices) else None
    other = _OTHER_LETTER.match(rest)
    if other is not None and (other[1] or other[2]).lower() != letter.lower() and len(rest) < 60:
        return None
    named = _named(_REASONS.sub("", rest), choices)
    return by_letter if not named or by_letter in named else None


def _lettered(text: str) -> _Lettered:
    alone = _ALONE.fullmatch(text)
    if alone is not None:
        return _Lettered(alone[1], "")
    match = _LETTERED.fullmatch(text)
    if match is None:
        return _Lettered(None, text.strip(" ."))
    return _Lettered(next(group for group in match.groups()[:4] if group), match[5].strip(" ."))


def _one_named(text: str, choices: tuple[str, ...]) -> str | None:
    """The choice whose words stand in `text`; of several the one that is set against the others
    ("zoo, not the bank")."""
    named = _named(text, choices)
    if len(named) > 1:
        cut = _CONTRAST.sub("", text)
        named = _named(cut, choices)
    return named[0] if len(named) == 1 else None


def _named(text: str, choices: tuple[str, ...]) -> list[str]:
    """The choices whose words stand in `text`, without those that stand inside another one ("park"
    in "state park")."""
    normal_text = normalise(text)
    named = [
        c for c in choices if re.search(rf"(?<!\w){re.escape(normalise(c))}(?!\w)", normal_text)
    ]
    return [c for c in named if not any(c is not d and normalise(c) in normalise(d) for d in named)]


def extract_choice(
    text: str, lenient: bool = False, problem: Problem | None = None, language: str = "en"
) -> str | None:
    """The choice that the closing names; lenient: else what a teacher's mark names, else the choice
    mentioned last, by bracketed letter or by text."""
    choices = problem.choices if problem else ()
    tail = closing_tail(text, closing_pattern(language))
    choice = choose(tail, choices) if tail is not None else None
    if choice is not None or not lenient:
        return choice
    if tail is not None and _mentions(undecorated(tail[:MOST_CHARACTERS]), choices):
        return None  # it denies a choice, names several, or contradicts itself
    reply = reply_text(text)
    marked = lenient_tail(reply) if choices else None
    for part in () if marked is None else (*sentences(marked)[:1], marked):
        choice = choose(part, choices)
        if choice is not None:
            return choice
    return None if denies(reply) else _last_mentioned(reply, choices)


def _mentions(text: str, choices: tuple[str, ...]) -> bool:
    letter = _lettered(text).letter
    return bool(_DENIED.match(text) or _named(text, choices)) or bool(
        letter and ascii_lowercase.index(letter.lower()) < len(choices)
    )


def _last_mentioned(text: str, choices: tuple[str, ...]) -> str | None:
    places: list[tuple[int, int, str]] = []
    for letter, choice in zip(ascii_lowercase, choices, strict=False):
        words = r"\s+".join(re.escape(word) for word in choice.split())
        for match in re.finditer(rf"\({letter}\)|(?<!\w){words}(?!\w)", text, re.IGNORECASE):
            places.append((match.end(), match.end() - match.start(), choice))
    return max(places)[2] if places else None


COMMONSENSEQA = Task(
    name="commonsenseqa", render=render_choices, extract=extract_choice, same=same_text
)
