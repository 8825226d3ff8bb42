"""Numbers as people and models write them, exact: 1,000, 1 000, 12,34,567, ٤٢, 2 1/2,
$\\frac{1}{2}$, 1.5 × 10^3, 3 dozen.

A numeral that cannot be read for certain (`3,5` where commas group thousands, `1.2.3`, `2√3`) has
the value None, so that no part of it is taken for the number. All functions take any text and need
time linear in its length."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from smallsteps.tasks.latex import plain_latex, without_emphasis

LONGEST = 200
"""Characters (and digits of a value) a number may have; a student that repeats a digit without end
has written none."""


class Numeral(NamedTuple):
    """A number where it stands in a text."""

    value: Fraction | None
    """None: a numeral that names no value for certain."""
    start: int
    """Its sign included."""
    end: int


# ---- characters ----

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_POWER = re.compile(r"(?<=[0-9)])([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉₊₋]+")
_CHARACTERS = str.maketrans(
    {
        "٫": ".",
        "٬": ",",
        "٪": "%",
        "−": "-",
        "–": "-",
        "‒": "-",
        "﹣": "-",
        "⁄": "/",
        "∕": "/",
        "⋅": "·",
        "≥": "≥",
        "⩾": "≥",
        "⩽": "≤",
        "､": ",",
    }
)
_UNIT_POWER = re.compile(r"(?<=[^\W\d_])\s?\^\s?\{?-?[0-9]+\}?")
_COMPARED = {
    "!=": "≠",
    "=/=": "≠",
    "<>": "≠",
    ">=": "≥",
    "=>": "≥",
    "<=": "≤",
    "=<": "≤",
    "==": "=",
}
_COMPARISON = re.compile("|".join(map(re.escape, sorted(_COMPARED, key=len, reverse=True))))
_MINUS = re.compile(
    r"(^\s*|[=(:]\s?|\bis\s)minus\s(?=\.?[0-9])|\bnegative\s(?=\.?[0-9])", re.IGNORECASE
)
_EQUALS = re.compile(r"\b(?:equals|is equal to)\b", re.IGNORECASE)
_MIL = re.compile(r"(?<=[0-9])\smil(?:le)?\b", re.IGNORECASE)
_HALVES = re.compile(r"(?<=[0-9]) and (?:(?:a|one)[ -])?(half|quarter|third)\b", re.IGNORECASE)
_MIXED_AND = re.compile(r"(?<=[0-9]) and (?=[0-9]{1,3}/[0-9])")
_SHORT_MILLION = re.compile(r"([$€£¥₹]\s?[0-9][0-9.,]{0,20})\s?m\b")
_PARTS = {"half": "1/2", "quarter": "1/4", "third": "1/3"}


def plain_text(text: str, decimal_comma: bool = False) -> str:
    """`text` in the characters that numerals are read from: digits of every script, full-width
    forms, superscripts, vulgar fractions, LaTeX and typographic signs as ASCII; currency signs and
    emphasis are gone."""
    if not text.isascii():
        text = _from_other_scripts(text)
    text = plain_latex(text)
    text = without_emphasis(text).replace("**", "^")
    if "^" in text:
        text = _UNIT_POWER.sub("", text)
    if decimal_comma:
        text = _MIL.sub(
            " thousand", text
        )  # a thousand in Spanish and French, in English a part of "miles"
    text = _SHORT_MILLION.sub(r"\1 million", text)
    text = (
        "".join(c for c in text if unicodedata.category(c) != "Sc")
        if not text.isascii()
        else text.replace("$", "")
    )
    if "=" in text or "<" in text:
        text = _COMPARISON.sub(lambda match: _COMPARED[match[0]], text)
    if " and " in text:
        text = _MIXED_AND.sub(" ", _HALVES.sub(lambda match: f" {_PARTS[match[1].lower()]}", text))
    if " equal" in text:
        text = _EQUALS.sub("=", text)
    return _MINUS.sub(lambda match: f"{match[1] or ''}-", text)


def _from_other_scripts(text: str) -> str:
    text = "".join(
        str(unicodedata.decimal(c)) if not c.isascii() and c.isdecimal() else c for c in text
    )
    text = _POWER.sub(lambda match: "^" + match[1].translate(_SUPERSCRIPTS), text)
    text = _RAISED.sub("", text)
    text = "".join(
        f" {c}" if unicodedata.decomposition(c).startswith("<fraction>") else c
        for c in text
        if unicodedata.category(c) != "Cf"
    )
    return unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)


# ---- one run of digits and separators ----

_RUN = (
    r"(?:[1-9][0-9]{0,2}(?:\s[0-9]{3})+(?![0-9])(?:[.,][0-9]+)?(?![.,'’_]?[0-9])"
    r"|[0-9]+(?:[.,'’_][0-9]+)*|\.[0-9]+)"
)
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:[.,'_ ][0-9]{3})+")
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")


def _read_run(run: str, decimal_comma: bool) -> Fraction | None:
    """The value of digits with separators. `decimal_comma`: the language writes 3,5 and 1.000."""
    if run.isdigit():
        return Fraction(int(run)) if len(run) <= LONGEST else None
    if len(run) > LONGEST:
        return None
    run = re.sub(r"\s", " ", run.replace("’", "'"))
    decimal = "."
    if decimal_comma and "," in run and "." in run:
        decimal = max(".,", key=run.rindex)
    elif decimal_comma and run.count(",") == 1:
        decimal = ","
    elif run.count(".") > 1 or (decimal_comma and _GROUPED.fullmatch(run)):
        decimal = ""  # dots group: 1.234.567
    whole, _, fraction = run.partition(decimal) if decimal else (run, "", "")
    if not whole.isdigit() and whole:
        separators = set(whole) - set("0123456789")
        regular = len(separators) == 1 and (_GROUPED.fullmatch(whole) or _INDIAN.fullmatch(whole))
        if not regular:
            return None
    if fraction and not fraction.isdigit():
        return None
    digits = re.sub(r"[^0-9]", "", whole)
    return Fraction(f"{digits or 0}.{fraction or 0}")


# ---- numerals ----

_MAGNITUDES = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "lakh": 10**5,
    "crore": 10**7,
    "bn": 10**9,
    "mn": 10**6,
    "mio": 10**6,
    "mrd": 10**9,
    "k": 1000,
    "M": 10**6,
    "B": 10**9,
    "tausend": 1000,
    "millionen": 10**6,
    "milliarde": 10**9,
    "milliarden": 10**9,
    "milliard": 10**9,
    "milliards": 10**9,
    "millones": 10**6,
    "millón": 10**6,
    "milhões": 10**6,
    "milhão": 10**6,
    "milioni": 10**6,
    "milione": 10**6,
    "miljoen": 10**6,
    "miljard": 10**9,
    "тысяч": 1000,
    "тысячи": 1000,
    "миллион": 10**6,
    "миллиона": 10**6,
    "миллионов": 10**6,
    "万": 10**4,
    "萬": 10**4,
    "亿": 10**8,
    "億": 10**8,
    "千": 1000,
    "百": 100,
    "만": 10**4,
    "억": 10**8,
}
_WORDS = "|".join(sorted((word for word in _MAGNITUDES if len(word) > 1), key=len, reverse=True))
_MAGNITUDE = (
    rf"(?:\s?(?:(?P<word>(?i:{_WORDS}))(?i:s)?(?![^\W\d_])|(?P<sign>[万萬亿億千百만억](?![克米瓦])"
    r"|[kK](?![^\W_])|"
    r"(?<=[0-9])[MB](?![^\W_]))))"
)
_NUMERAL = re.compile(
    rf"""(?<![0-9])(?<![0-9][.,:/])  # not inside another number, a time or a ratio
    (?P<minus>(?:(?<![\w)])[-+]\s?)?)
    (?:(?P<whole>[0-9]{{1,9}})\s{{1,2}}(?=[0-9]+/[0-9]))?           # 1 1/2
    (?P<top>{_RUN})
    (?:[eE](?P<exponent>[+-]?[0-9]{{1,2}})(?![0-9]))?
    (?:\s?/\s?(?P<bottom>-?{_RUN})(?!\s?/))?
    (?:\s?\^\s?\(?(?P<power>[+-]?[0-9]{{1,4}})\)?(?![0-9]|[.,/][0-9]))?
    (?:\s?[×xX*·]\s?10\s?\^\s?\(?(?P<ten>[+-]?[0-9]{{1,3}})\)?(?![0-9]|\.[0-9]))?
    (?P<magnitudes>{_MAGNITUDE.replace("?P<word>", "?:").replace("?P<sign>", "?:")}{{0,3}})
    (?!:[0-9]|[0-9])
    (?P<odd>\s?[√π∞⟦]|\)?\s?\^|\s(?:ten|hundred|thousand)ths?\b)?""",
    re.VERBOSE,
)
_NOUN_BEFORE = re.compile(
    r"(?<!\bis)(?<!\bbe)(?<!\bto)(?<!\bof)(?<!\bby)(?<!\bfrom)(?<!\bwas)(?<=[^\W\d_])$"
)
_EACH_MAGNITUDE = re.compile(_MAGNITUDE)
_BEFORE_ODD = re.compile(r"(?:√\(?|[⟧^])\s?$")


def numerals(text: str, decimal_comma: bool = False) -> list[Numeral]:
    """The numerals of a `plain_text`, in order; times (10:30) and ratios (3:4) are none."""
    values = []
    for match in _NUMERAL.finditer(text):
        start = match.start()
        minus = match["minus"]
        if minus[1:] and _joins(text, start):
            # in "8 - 3" the sign joins two numbers, in "= -3" it belongs to one
            start, minus = match.start("whole") if match["whole"] else match.start("top"), ""
        value = None if len(match[0]) > LONGEST else _value(match, decimal_comma)
        if match["odd"] or _BEFORE_ODD.search(text, max(0, start - 3), start):
            value = None
        values.append(
            Numeral(-value if value is not None and "-" in minus else value, start, match.end())
        )
    return values


def _joins(text: str, start: int) -> bool:
    before = text[max(0, start - 20) : start].rstrip()
    return (
        before[-1:].isdigit()
        or before[-1:] in (")", "%")
        or _NOUN_BEFORE.search(before) is not None
    )


def _value(match: re.Match[str], decimal_comma: bool) -> Fraction | None:
    value = _read_run(match["top"], decimal_comma)
    if value is None:
        return None
    if match["exponent"]:
        value *= Fraction(10) ** int(match["exponent"])
    if match["bottom"]:
        bottom = _read_run(match["bottom"].lstrip("-"), decimal_comma)
        if not bottom:
            return None
        value /= -bottom if match["bottom"].startswith("-") else bottom
    value += int(match["whole"] or 0)
    if match["power"]:
        powered = _power(value, int(match["power"]))
        if powered is None:
            return None
        value = powered
    if match["ten"]:
        if abs(int(match["ten"])) > LONGEST:
            return None
        value *= Fraction(10) ** int(match["ten"])
    for magnitude in _EACH_MAGNITUDE.finditer(
        match.string, match.start("magnitudes"), match.end("magnitudes")
    ):
        word = magnitude["word"] or magnitude["sign"]
        value *= _MAGNITUDES.get(word) or _MAGNITUDES[word.lower()]
    return value


def _power(base: Fraction, exponent: int) -> Fraction | None:
    digits = len(str(max(base.numerator, base.denominator)))
    if digits * abs(exponent) > LONGEST or (base == 0 and exponent < 0):
        return None
    return base**exponent


_UNIT_ASKED = re.compile(
    r"\b(?:how many|in|number of)\s+(?:\w+\s+)?(hundred|thousand|million|billion|trillion|dozen"
    r"|lakh|crore)s?\b",
    re.IGNORECASE,
)


def in_unit_asked(text: str, question: str) -> str:
    """`text` without the words of magnitude that the question counts in: to "How many dozen?" 7
    dozen is 7."""
    for unit in {match[1] for match in _UNIT_ASKED.finditer(question)}:
        text = re.sub(rf"(?<=[0-9])\s?{unit}s?\b", f" ({unit})", text, flags=re.IGNORECASE)
    return text


def plain(value: Fraction) -> str:
    """A number as text: integers and finite decimals in full, other fractions as `1/3`."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = max(twos, fives)
    whole = str(abs(value * 10**digits)).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{whole[:-digits]}.{whole[-digits:]}"
