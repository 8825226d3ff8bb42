"""What the words after "the answer is" say: one number, or nothing that can be graded.

A negation ("not 5"), a bound ("less than 5"), a range ("5 to 7") and alternatives ("4 or 6") name
no answer; taking their first number for one would grade "not 5" as 5. "5, not 6" and "not 5 but 6"
do name one. Several values ("4 and 6", "3 x 4") are no number either, but may be words that own
data has for an answer."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from smallsteps.tasks.numerals import Numeral, numerals, plain_text

MOST_CHARACTERS = 1000
"""Of a closing that are read; what stands behind is no answer."""


class Reading(NamedTuple):
    """What a text says."""

    value: Fraction | None = None
    refused: bool = False
    """It denies, bounds or leaves open: no answer, whatever else the text holds."""
    unclear: bool = False
    """It holds numerals, and which number it names is not certain: several values, a range,
    `3,5`."""


_CONTRAST = re.compile(
    r"(?:[,;(–—]|\s-|\band\b|\bbut\b)?\s*\b(?:not|never|nor|rather than|instead of"
    r"|as opposed to)\b",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\s*(?:not|n['’]t|never)\b[^;]{0,80}?(?:\bbut\b|\brather\b|\binstead\b|[,;]\s*(?:it|that"
    r"|this)(?:['’]s|\s+is)\b)"
    r"[\s,:]*(?:rather|instead|it is|it['’]s|is)?\s*(?P<rest>.*\d.*)",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"\b(?:not|never|neither|nor|cannot|hardly|unlikely|except|no\s+(?:more|less|fewer|greater"
    r"|longer|larger))\b"
    r"|n['’]t\b|\b(?:less|fewer|more|greater|larger|smaller|higher|lower|bigger|other"
    r"|different)\s+(?:than|from)\b"
    r"|\bat\s+(?:the\s+)?(?:very\s+)?(?:least|most|minimum|maximum|best|worst)\b|\banything\s+but\b"
    r"|\bfar\s+from\b"
    r"|(?:^\s*|\bis\s+|\bbe\s+)(?:(?:just|slightly|well|anything|somewhat)\s+)?(?:under|over|above"
    r"|below|beyond|up\s+to)\b"
    r"|\b(?:between|exceed(?:s|ing)?|either|(?:one|any|some)\s+of"
    r"|(?:minimum|maximum)\s+of)\b|[<>≤≥≠±≪≫]",
    re.IGNORECASE,
)
_OPEN_ENDED = re.compile(
    r"\s*(?:[^\W\d_]+\s+)?(?:(?:or|and)\s+(?:more|less|fewer|greater|above|below|over|under|up"
    r"|higher|lower|bigger"
    r"|smaller)\b|at\s+(?:the\s+)?(?:least|most|minimum|maximum)\b)|\s?\+(?!\s*[\d(])",
    re.IGNORECASE,
)
_OR = re.compile(r"\b(?:or|nor)\b|\bvs\b|\bversus\b|\|", re.IGNORECASE)
_RANGE = re.compile(
    r"\s*(?P<unit>[^\W\d_]+\s+|%\s*)?(?:to|through|thru|until|up\s+to)\s+(?:about\s+)?",
    re.IGNORECASE,
)
_SPAN = re.compile(r"\s*(?:-|—|~|〜|～|\.{2,3}|…|±|\+/-)\s*")
_SEVERAL = re.compile(
    r"\s*(?:[^\W\d_]+\s+)?(?:and|plus|&)\s*|\s*[,;]\s*(?:and\s*)?|\s+|\s*(?:[xX×*·+÷^/:]|times"
    r"|(?:multiplied|divided)\s+by)\s*",
    re.IGNORECASE,
)
_BARE_END = re.compile(r"\s*(?:%|(?:[^\W\d_]+\s?){0,3})[\s.!?)*]*(?:[,;]|$|\band\b)")
_UNIT = re.compile(r"\s*([^\W\d_]+|%)")
_CONVERSIONS = {
    Fraction(n) for n in (3, 4, 7, 10, 12, 16, 24, 36, 52, 60, 100, 365, 1000, 1440, 3600)
}


def read_quantity(text: str, decimal_comma: bool = False) -> Reading:
    """The number that an answer text names: the first of its first clause that has one, after the
    clause's last `=`.

    >>> str(read_quantity("270 + 54 = 324 miles, which is 2 more").value)
    '324'
    >>> read_quantity("less than 5").refused
    True
    """
    return read_plain(plain_text(text[:MOST_CHARACTERS], decimal_comma), decimal_comma)


def read_plain(text: str, decimal_comma: bool = False) -> Reading:
    """The same of a text that is a `plain_text` already."""
    text = without_contrast(text, decimal_comma)
    candidates = numerals(text, decimal_comma)
    if not candidates:
        return Reading()
    place = _after_equals(text, candidates)
    chosen = candidates[place]
    before = text[: chosen.start].rsplit("=", 1)[-1]
    clause = re.split(r"[,;](?!\d)", before)[-1]
    if _DENIED.search(clause) or re.match(
        r"\s*(?:not|n['’]t|never|neither)\b", before, re.IGNORECASE
    ):
        return Reading(refused=True)
    if _OPEN_ENDED.match(text, chosen.end) or (
        place and _OR.search(text, candidates[0].end, chosen.start)
    ):
        return Reading(refused=True)
    if chosen.value is None:
        return Reading(unclear=True)
    following = candidates[place + 1] if place + 1 < len(candidates) else None
    if following is not None:
        doubt = _doubt(text, chosen, following)
        if doubt is not None:
            return doubt
    return Reading(chosen.value)


def without_contrast(text: str, decimal_comma: bool = False) -> str:
    """A `plain_text` without the number that an answer is set against.

    >>> without_contrast("5, not 6"), without_contrast("not 5 but 6"), without_contrast("not 5")
    ('5', '6', 'not 5')
    """
    but = _BUT.match(text)
    if but is not None:
        return but["rest"]
    if _CONTRAST.search(text) is None:
        return text
    candidates = numerals(text, decimal_comma)
    cuts = (
        cut.start()
        for cut in _CONTRAST.finditer(text)
        if candidates and cut.start() >= candidates[0].end
    )
    return text[: next(cuts, len(text))]


def _after_equals(text: str, candidates: list[Numeral]) -> int:
    """The place of the numeral that counts: of the first clause with one, the first after the
    clause's last `=`."""
    end = re.compile(r"[,;](?!\d)").search(text, candidates[0].end)
    clause = text[: end.start() if end else len(text)]
    equals = clause.rfind("=")
    if equals < 0:
        return 0
    after = (n for n, numeral in enumerate(candidates) if equals < numeral.start < len(clause))
    return next(after, 0)


def _doubt(text: str, chosen: Numeral, following: Numeral) -> Reading | None:
    """What it means that `following` comes after: alternatives and ranges are refused, several
    values are no number."""
    between = text[chosen.end : following.start]
    if len(between) > 60:
        return None
    if _OR.search(between):
        return None if _same_amount(text, chosen, following) else Reading(refused=True)
    span = _RANGE.fullmatch(between)
    if span is not None:
        unit = _UNIT.match(text, following.end)
        if span["unit"] is None or (unit is not None and unit[1] == span["unit"].strip()):
            return Reading(refused=True)
        return None
    if _SPAN.fullmatch(between):
        return Reading(unclear=True)
    if _SEVERAL.fullmatch(between):
        listed = between.strip()[:1] in (",", ";") or not between.strip()
        if not listed or _BARE_END.match(text, following.end):
            return Reading(unclear=True)
    return None


def _same_amount(text: str, first: Numeral, second: Numeral) -> bool:
    """Whether the second says the first again: "0.5, or 1/2", "120 minutes (or 2 hours)"."""
    if first.value is None or second.value is None:
        return False
    if first.value == second.value:
        return True
    units = [_UNIT.match(text, numeral.end) for numeral in (first, second)]
    named = [unit[1].casefold().rstrip("s") for unit in units if unit is not None]
    if (
        len(named) < 2
        or named[0] == named[1]
        or named[0] == "or"
        or not first.value
        or not second.value
    ):
        return False
    ratio = max(first.value / second.value, second.value / first.value)
    return ratio in _CONVERSIONS
