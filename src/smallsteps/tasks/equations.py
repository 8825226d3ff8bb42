"""The equations that a chain states: `48 / 2 = 24`, `12 boxes x $5 = $60`, `3 + 6*3 = 3 + 18 = 21`.

An equation is an expression of at least two numbers, then `=` (or "is", "equals"), then its result.
Units after a number, currency signs and brackets are read over. Of several `=` in a row, the same
value written anew counts as one equation with the last result, a running total (`3 x 4 = 12 + 5 =
17`) as several. Values are exact fractions. A result may be rounded or cut off: it holds where it
differs from the value by less than one in its last digit. Not read: words ("8 plus 16"), powers,
mixed numbers (3 1/2), unknowns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d++(?:\.\d+)?|(?<!\w)\.\d+)"
_SIGNED = rf"[-−]?(?:[$€£¥₹]\s?+)?{_NUMBER}"
_WORD = r"(?!(?:is|equals)\b)[^\W\d_]+(?:/[^\W\d_]+)*"
_NOTE = r"\([^\W\d_][^()\d]{0,30}\)"
_UNIT = rf"(?:\s?(?:{_WORD}|{_NOTE})){{0,4}}"
_OPERAND = rf"[(\s]*+{_SIGNED}\s?%?{_UNIT}[)\s]*+"
_OPERATOR = r"[-+*/x×·÷−–]"
_EXPRESSION = re.compile(rf"{_OPERAND}(?:{_OPERATOR}{_OPERAND})+")
_SAYS = re.compile(r"\s*+(?:=|＝|\bis\b|\bequals\b)\s*+")
_RESULT = re.compile(rf"[(\s]*+(?P<number>{_SIGNED})(?P<percent>\s?%)?")
_TOKEN = re.compile(
    rf"(?P<number>{_NUMBER})\s?(?P<percent>%)?|(?P<word>{_WORD}|{_NOTE})|(?P<sign>[-+*/×·÷−–()])"
)
_SIGNS = {"×": "x", "·": "x", "*": "x", "÷": "/", "−": "-", "–": "-"}
_EXACT = Fraction(1, 10**9)


@dataclass(frozen=True)
class Equation:
    """One equation of a text."""

    expression: tuple[str, ...]
    """Numbers and signs of its left side, such as `3`, `x`, `4`."""
    result: Fraction
    """As printed; of a percentage the hundredth, where this is the value of the left side."""
    decimals: int | None
    """Decimals of the printed result; None: a fraction such as 5/6."""
    holds: bool
    """Whether the arithmetic is right."""
    start: int
    """Where its left side begins in the text."""
    end: int
    """Where its result ends."""

    def same_result(self, other: Equation) -> bool:
        """Whether both results are one number. Of two results with decimals, or one and a fraction,
        the longer may be rounded or cut off."""
        printed = [d for d in (self.decimals, other.decimals) if d is not None]
        fewest = min(printed, default=0)
        return abs(self.result - other.result) < (Fraction(1, 10**fewest) if fewest else _EXACT)

    def same_expression(self, other: Equation) -> bool:
        """Whether both left sides are one. Two terms of a sum or product may change places."""
        turned = self.expression[::-1]
        commutes = len(turned) == 3 and turned[1] in "+x"
        return self.expression == other.expression or (commutes and turned == other.expression)


@dataclass(frozen=True)
class _Side:
    """What stands on one side of `=`: an expression, or a number alone."""

    tokens: tuple[str, ...]
    start: int
    end: int
    number: re.Match[str]
    """The first number, a result where the side ends an equation."""
    alone: bool
    """Whether it is that number and nothing more."""

    @property
    def value(self) -> Fraction | None:
        """None: it cannot be computed."""
        return _value(self.tokens)

    @property
    def decimals(self) -> int:
        return max((len(token.partition(".")[2]) for token in self.tokens), default=0)


def find_equations(text: str) -> list[Equation]:
    """The equations of `text` in their order.

    >>> [(e.expression, int(e.result), e.holds) for e in find_equations("3 x 4 = 12, 12 - 5 = 8.")]
    [(('3', 'x', '4'), 12, True), (('12', '-', '5'), 8, False)]
    """
    equations: list[Equation] = []
    place = 0
    while left := _EXPRESSION.search(text, place):
        sides = _sides(text, left)
        equations += _equations(sides)
        place = sides[-1].end
    return equations


def _sides(text: str, left: re.Match[str]) -> list[_Side]:
    """The expression `left` and all that follows it after `=`, as far as these are numbers."""
    sides = [_side(text, left.start(), left.end(), alone=False)]
    while says := _SAYS.match(text, sides[-1].end):
        expression = _EXPRESSION.match(text, says.end())
        number = _RESULT.match(text, says.end())
        if number is None:
            break
        end = (expression or number).end()
        sides.append(_side(text, says.end(), end, alone=expression is None))
    return sides


def _side(text: str, start: int, end: int, alone: bool) -> _Side:
    number = _RESULT.search(text, start, end)
    assert number is not None, "a side has a number"
    visible = end - len(text[start:end].lstrip())
    return _Side(_tokens(text[start:end]), visible, end, number, alone)


def _equations(sides: Sequence[_Side]) -> Iterator[Equation]:
    left = sides[0]
    for place, side in enumerate(sides[1:], start=1):
        value = None if left.alone else left.value
        if value is None:
            left = side
            continue
        if not side.alone and _written_anew(value, side):
            if place == len(sides) - 1:  # a fraction: 50 / 60 = 5/6
                yield Equation(left.tokens, side.value or value, None, True, left.start, side.end)
            continue
        yield _with_result(left, value, side.number)
        left = side


def _written_anew(value: Fraction, side: _Side) -> bool:
    """Whether the side is another expression of the value, with rounded numbers perhaps."""
    other = side.value
    near = Fraction(1, 10**side.decimals) if side.decimals else _EXACT
    return other is not None and abs(other - value) < near


def _with_result(left: _Side, value: Fraction, printed: re.Match[str]) -> Equation:
    digits = re.sub(r"[^\d.]", "", printed["number"])
    result = Fraction(digits) * (-1 if printed["number"][0] in "-−" else 1)
    decimals = len(digits.partition(".")[2])
    if printed["percent"] and abs(100 * value - result) < Fraction(1, 10**decimals):
        result, decimals = result / 100, decimals + 2  # 50 / 200 = 25 %, and not x 100
    holds = abs(value - result) < Fraction(1, 10**decimals)
    return Equation(left.tokens, result, decimals, holds, left.start, printed.end())


# ---- expressions ----


def _tokens(text: str) -> tuple[str, ...]:
    """Numbers (percentages divided by 100), signs and balanced brackets; units are left out."""
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        if match["number"]:
            number = match["number"].replace(",", "")
            tokens += ["(", number, "/", "100", ")"] if match["percent"] else [number]
        elif match["sign"]:
            tokens.append(_SIGNS.get(match["sign"], match["sign"]))
        elif match["word"] == "x":
            tokens.append("x")
    # brackets around the whole sentence: (1 - 2/3 = 1/3)
    while tokens.count("(") > tokens.count(")") and tokens[0] == "(":
        del tokens[0]
    while tokens.count(")") > tokens.count("(") and tokens[-1] == ")":
        del tokens[-1]
    return tuple(tokens)


def _value(tokens: Sequence[str]) -> Fraction | None:
    """What an expression comes to; None where it is none, or divides by zero."""
    rest = list(reversed(tokens))

    def factor() -> Fraction:
        token = rest.pop()
        if token == "-":
            return -factor()
        if token == "(":
            inner = total()
            if rest.pop() != ")":
                raise ValueError
            return inner
        return Fraction(token)

    def product() -> Fraction:
        value = factor()
        while rest and rest[-1] in "x/":
            value = value * factor() if rest.pop() == "x" else value / factor()
        return value

    def total() -> Fraction:
        value = product()
        while rest and rest[-1] in "+-":
            value = value + product() if rest.pop() == "+" else value - product()
        return value

    try:
        value = total()
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return None if rest else value
