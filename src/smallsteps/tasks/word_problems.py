"""Arithmetic word problems: GSM8K, SVAMP, MultiArith, ASDiv, and `numbers`, the default for own
data.

Answers are compared by value: 5.0 = 5, 1,000 = 1000, 1/2 = 0.5, $3 = 3; arithmetic is exact
(`fractions`), so nothing is lost between text and verdict. The authors' AS-ES code compares the
last numbers of two texts as strings, cut at their comma, and turns what it cannot read into 522 and
648; here it is None, which equals nothing.

One in ten ASDiv answers is no plain number (names, times, ordinals, ratios, pairs): there, and in
own data, an answer that is no single quantity is compared as words."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from smallsteps.records import Problem
from smallsteps.tasks.base import (
    Task,
    closing_tail,
    normalise,
    render_question,
    same_text,
    undecorated,
)
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.closings import denies, lenient_tail
from smallsteps.tasks.languages import LANGUAGES, bare_answer, closing_pattern
from smallsteps.tasks.numerals import LONGEST, in_unit_asked, numerals, plain, plain_text
from smallsteps.tasks.quantities import Reading, read_plain, read_quantity, without_contrast
from smallsteps.tasks.sentences import sentences

_SHORT = re.compile(r"(-?[1-9][0-9]{0,14}|0)\.?")
"""Most answers: read without looking at anything else."""
TOLERANCE = Fraction(1, 1000)
"""Two numbers this close are equal (0.333 and 1/3); for numbers under 0.1 it shrinks to 1 % of
their size."""


def numbers_in(text: str) -> list[Fraction]:
    """The numbers of `text`, exact, in order; times (10:30) and ratios (3:4) are none.

    >>> [str(n) for n in numbers_in("1,000 of 2.5 at 10:30 is -$3 or 1/2")]
    ['1000', '5/2', '-3', '1/2']
    """
    return [numeral.value for numeral in numerals(plain_text(text)) if numeral.value is not None]


def number(text: str | None, language: str = "en") -> Fraction | None:
    """The value an answer text names: the first number of its first clause that has one, after the
    clause's last `=`; None where it denies it, bounds it or names several.

    >>> str(number("270 + 54 = 324 miles, which is 2 more"))
    '324'
    >>> number("no idea"), number("less than 5")
    (None, None)
    """
    if text is not None and _SHORT.fullmatch(text):
        return Fraction(int(text.rstrip(".")))
    return read_quantity(text or "", LANGUAGES[language].decimal_comma).value


def same_number(answer: str | None, gold: str | None, language: str = "en") -> bool:
    """Whether two answers name the same number, within `TOLERANCE`. False where either names
    none."""
    if answer is not None and answer == gold and _SHORT.fullmatch(answer):
        return True
    a, b = number(answer, language), number(gold, language)
    return a is not None and b is not None and _close(a, b)


def _close(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= min(TOLERANCE, max(abs(a), abs(b)) / 100)


def written(value: Fraction, language: str = "en") -> str:
    """A number as the answer that `number` reads back in the same language: 1.234 would be a
    thousand in German."""
    text = plain(value)
    grouped = LANGUAGES[language].decimal_comma and re.fullmatch(
        r"-?[1-9][0-9]{0,2}\.[0-9]{3}", text
    )
    return f"{text}0" if grouped else text


def extract_number(
    text: str, lenient: bool = False, problem: Problem | None = None, language: str = "en"
) -> str | None:
    """The number the closing names; lenient: else the one behind a teacher's mark, else the last
    number of the text."""
    tail = closing_tail(text, closing_pattern(language))
    if tail is not None and (short := _SHORT.fullmatch(tail)):
        return short[1]
    decimal_comma = LANGUAGES[language].decimal_comma
    question = problem.question if problem else ""
    reading = read_quantity(in_unit_asked(tail or "", question), decimal_comma)
    if reading == Reading() and lenient:
        reading = _read_leniently(in_unit_asked(reply_text(text), question), decimal_comma)
    return None if reading.value is None else written(reading.value, language)


def _read_leniently(text: str, decimal_comma: bool) -> Reading:
    tail = lenient_tail(text)
    if tail is not None:
        reading, parts = read_quantity(tail, decimal_comma), sentences(tail)
        certain = not reading.unclear or len(tail) <= _SHORTEST_CHAIN
        if (
            reading != Reading()
            and certain
            and (len(parts) == 1 or _quantity(parts[0], decimal_comma) is not None)
        ):
            return reading
    if denies(text):
        return Reading(refused=True)
    candidates = (
        numerals(plain_text(text[-_LAST_CHARACTERS:], decimal_comma), decimal_comma) if text else []
    )
    if not candidates and len(text) > _LAST_CHARACTERS:
        candidates = numerals(plain_text(text, decimal_comma), decimal_comma)
    return Reading(candidates[-1].value) if candidates else Reading()


_SHORTEST_CHAIN = 20
"""Characters from which on several numbers behind a mark may be a chain and not a list of
answers."""
_LAST_CHARACTERS = 4000
"""Of a text, searched for its last number first."""

_ABOUT = re.compile(
    r"(?:(?:about|around|approximately|approx\.?|roughly|nearly|exactly|just|only)\b|[=≈~]"
    r"|[A-Za-z]\s?=|[(\s])*\s*",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s*(?:%|°|\(?[^\W\d_](?:[^\W\d_]|[./ ])*\)?)?[\s.!。)*]*")
_NOT_PLAIN = re.compile(r"[0-9](?:st|nd|rd|th)\b|[0-9]\s*[ap]\.?m\b", re.IGNORECASE)


def _quantity(text: str, decimal_comma: bool = False) -> Fraction | None:
    """The value of a text that is one number, with "about" before it and a unit behind it at most;
    None of others."""
    if len(text) > LONGEST:
        return None
    bare = without_contrast(plain_text(text.strip(), decimal_comma), decimal_comma)
    candidates = numerals(bare, decimal_comma)
    if len(candidates) != 1 or _NOT_PLAIN.search(bare):
        return None
    start, end = candidates[0].start, candidates[0].end
    if _ABOUT.fullmatch(bare, 0, start) is None or _UNIT.fullmatch(bare, end) is None:
        return None
    return read_plain(bare, decimal_comma).value


def extract_number_or_words(
    text: str, lenient: bool = False, problem: Problem | None = None, language: str = "en"
) -> str | None:
    """What the closing names: a number where it is one quantity ("5", "$5", "5 apples"), nothing
    where it is denied or left open ("not 5", "4 or 6"), else as it stands ("6th", "3:45", "Mrs.
    Hilt", "12; 4"). Lenient: else as `extract_number`.

    >>> extract_number_or_words("The answer is $5.00 each.")
    '5'
    >>> extract_number_or_words("The answer is 3:45 p.m.")
    '3:45 p.m'
    """
    tail = closing_tail(text, closing_pattern(language))
    if tail is None or not normalise(tail):
        return extract_number(text, lenient, problem, language) if lenient else None
    if short := _SHORT.fullmatch(tail):
        return short[1]
    decimal_comma = LANGUAGES[language].decimal_comma
    value = _quantity(in_unit_asked(tail, problem.question if problem else ""), decimal_comma)
    if value is not None:
        return written(value, language)
    if read_quantity(tail, decimal_comma).refused:
        return None
    return bare_answer(undecorated(tail), language)


def same_number_or_words(answer: str | None, gold: str | None, language: str = "en") -> bool:
    """Equal by value where the gold answer is one quantity, else as words with bracketed units left
    out."""
    if answer is None or gold is None:
        return False
    if _SHORT.fullmatch(gold) or _quantity(gold, LANGUAGES[language].decimal_comma) is not None:
        return not _NOT_PLAIN.search(answer) and same_number(answer, gold, language)
    return same_text(_without_units(answer), _without_units(gold))


def _without_units(text: str) -> str:
    return re.sub(r"(?<=[0-9])\s*\([^()0-9]*\)", "", text)


def word_problems(name: str, max_chain_tokens: int = 320) -> Task:
    """A task whose answers are single numbers, under the given name."""
    return Task(
        name=name,
        render=render_question,
        extract=extract_number,
        same=same_number,
        max_chain_tokens=max_chain_tokens,
    )


GSM8K = word_problems("gsm8k", max_chain_tokens=512)
SVAMP = word_problems("svamp")
MULTIARITH = word_problems("multiarith")
ASDIV = Task(
    name="asdiv", render=render_question, extract=extract_number_or_words, same=same_number_or_words
)
NUMBERS = replace(ASDIV, name="numbers")
"""Own data: answers may be numbers with or without units, and words where they are none."""
