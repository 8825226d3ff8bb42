"""Arithmetic word problems: GSM8K, SVAMP, MultiArith, ASDiv, and `numbers`, the default for own data.

Answers are compared by value: 5.0 = 5, 1,000 = 1000, 1/2 = 0.5, $3 = 3; arithmetic is exact (`fractions`), so nothing
is lost between text and verdict. The authors' AS-ES code compares the last numbers of two texts as strings, cut at
their comma, and turns what it cannot read into 522 and 648; here it is None, which equals nothing.

One in ten ASDiv answers is no plain number (names, times, ordinals, ratios, pairs): there, and in own data, an answer
that is no single quantity is compared as words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from fractions import Fraction

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, normalise, render_question, same_text

TOLERANCE = Fraction(1, 1000)
"""Two numbers this close are equal (0.333 and 1/3); for numbers under 0.1 it shrinks to 1 % of their size."""

_VULGAR = {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8", "⅕": "1/5", "⅙": "1/6"}
_PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
NUMBER = re.compile(
    rf"""(?<![0-9])(?<![0-9][.,:/])                   # not inside another number, a time or a ratio
    (?P<sign>(?:(?<![\w)])-\s?)?[$€£]?-?)
    (?:(?P<whole>[0-9]+)\s(?=[0-9]+/[0-9]))?           # 1 1/2
    (?P<top>{_PLAIN})
    (?:[eE](?P<power>[+-]?[0-9]{{1,2}})(?![0-9]))?
    (?:\s?/\s?(?P<bottom>{_PLAIN})(?!\s?/))?
    (?!:[0-9]|[0-9])""",
    re.VERBOSE,
)
_LONGEST = 200
"""Characters a number may have; a student that repeats a digit without end has written no number."""


def _clean(text: str) -> str:
    """Full-width digits, vulgar fractions, LaTeX and typographic minus signs as plain characters."""
    for sign, plain in _VULGAR.items():
        text = text.replace(sign, f" {plain}")
    text = (
        unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").replace("{,}", ",").replace("\\$", "$")
    )
    text = re.sub(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}", r"\1/\2", text)
    return re.sub(r"\*\*|[$](?=\\|\s)", "", text)


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match[0]) > _LONGEST:
        return None
    value = Fraction(match["top"].replace(",", ""))
    if match["power"]:
        value *= Fraction(10) ** int(match["power"])
    if match["bottom"]:
        bottom = Fraction(match["bottom"].replace(",", ""))
        if bottom == 0:
            return None
        value /= bottom
    value += int(match["whole"] or 0)
    # In "8 - 3" the minus joins two numbers, in "= -3" and "is - 3" it belongs to one.
    before = match.string[: match.start()].rstrip()
    binary = match["sign"].startswith("- ") and (before[-1:].isdigit() or before[-1:] in (")", "%"))
    return -value if "-" in match["sign"] and not binary else value


def numbers_in(text: str) -> list[Fraction]:
    """The numbers of `text`, exact, in order; times (10:30) and ratios (3:4) are none.

    >>> [str(n) for n in numbers_in("1,000 of 2.5 at 10:30 is -$3 or 1/2")]
    ['1000', '5/2', '-3', '1/2']
    """
    return [value for match in NUMBER.finditer(_clean(text)) if (value := _value(match)) is not None]


def number(text: str | None) -> Fraction | None:
    """The value an answer text names: the first number of its first clause that has one, after the clause's last `=`.

    >>> str(number("270 + 54 = 324 miles, which is 2 more")), number("no idea")
    ('324', None)
    """
    for clause in re.split(r"[,;]\s|[,;]$", _clean(text or "")):
        found = numbers_in(clause.rsplit("=", 1)[-1])
        if found:
            return found[0]
    return None


def plain(value: Fraction) -> str:
    """A number as text: integers and finite decimals in full, other fractions as `1/3`."""
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = str(abs(value * 10**digits)).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{whole[:-digits]}.{whole[-digits:]}"


def same_number(answer: str | None, gold: str | None) -> bool:
    """Whether two answers name the same number, within `TOLERANCE`. False where either names none."""
    a, b = number(answer), number(gold)
    return a is not None and b is not None and _close(a, b)


def _close(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= min(TOLERANCE, max(abs(a), abs(b)) / 100)


def extract_number(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """The number the closing names; lenient: else the last number of the text."""
    tail = closing_tail(text)
    value = number(tail) if tail is not None and not tail.startswith("not ") else None
    if value is None and lenient:
        found = numbers_in(text)
        value = found[-1] if found else None
    return None if value is None else plain(value)


_QUANTITY = re.compile(
    rf"(?:about|approximately|=|≈)?\s*[-−]?\s?[$€£]?-?(?:[0-9]+\s(?=[0-9]+/))?(?:{_PLAIN})(?:\s?/\s?(?:{_PLAIN}))?"
    r"\s*(?:%|\(?[A-Za-z][A-Za-z./ ]*\)?)?[\s.!]*",
    re.IGNORECASE,
)
_NOT_PLAIN = re.compile(r"[0-9](?:st|nd|rd|th)\b|[0-9]\s*[ap]\.?m\b", re.IGNORECASE)


def _is_quantity(text: str) -> bool:
    return bool(_QUANTITY.fullmatch(_clean(text))) and not _NOT_PLAIN.search(text) and number(text) is not None


def extract_number_or_words(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """What the closing names: a number where it is one quantity ("5", "$5", "5 apples"), else as it stands ("6th",
    "3:45", "Mrs. Hilt", "12; 4"). Lenient: else the last number of the text.

    >>> extract_number_or_words("The answer is $5.00 each."), extract_number_or_words("The answer is 3:45 p.m.")
    ('5', '3:45 p.m')
    """
    tail = closing_tail(text)
    if tail is not None and normalise(tail):
        value = number(tail) if _is_quantity(tail) else None
        return plain(value) if value is not None else tail.rstrip(" .") or tail
    return extract_number(text, lenient) if lenient else None


def same_number_or_words(answer: str | None, gold: str | None) -> bool:
    """Equal by value where the gold answer is one quantity, else as words with bracketed units left out."""
    if answer is None or gold is None:
        return False
    if _is_quantity(gold):
        return not _NOT_PLAIN.search(answer) and same_number(answer, gold)
    return same_text(_without_units(answer), _without_units(gold))


def _without_units(text: str) -> str:
    return re.sub(r"(?<=[0-9])\s*\([^()0-9]*\)", "", text)


def word_problems(name: str, max_chain_tokens: int = 320) -> Task:
    """A task whose answers are single numbers, under the given name."""
    return Task(
        name=name, render=render_question, extract=extract_number, same=same_number, max_chain_tokens=max_chain_tokens
    )


GSM8K = word_problems("gsm8k", max_chain_tokens=512)
SVAMP = word_problems("svamp")
MULTIARITH = word_problems("multiarith")
ASDIV = Task(name="asdiv", render=render_question, extract=extract_number_or_words, same=same_number_or_words)
NUMBERS = replace(ASDIV, name="numbers")
"""Own data: answers may be numbers with or without units, and words where they are none."""
