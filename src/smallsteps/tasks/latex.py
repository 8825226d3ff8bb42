"""LaTeX and Markdown around answers: wrappers are opened, fractions become `3/4`, spaces and signs
plain characters.

No parser: the few commands that answers are written with, each pass linear in the text, at most
`_PASSES` levels deep."""

from __future__ import annotations

import re

_PASSES = 8
_WRAPPER = re.compile(
    r"\\(?:boxed|fbox|text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|emph"
    r"|underline|bm"
    r"|boldsymbol|operatorname|textcolor\{\w{0,20}\}|color\{\w{0,20}\}|ensuremath)\s?\{([^{}]*)\}"
)
_SIGNS = {
    "times": "×",
    "cdot": "×",
    "div": "÷",
    "pm": "±",
    "mp": "±",
    "neq": "≠",
    "ne": "≠",
    "leq": "≤",
    "le": "≤",
    "leqslant": "≤",
    "geq": "≥",
    "ge": "≥",
    "geqslant": "≥",
    "lt": "<",
    "gt": ">",
    "approx": "≈",
    "sim": "≈",
    "simeq": "≈",
    "pi": "π",
    "infty": "∞",
    "sqrt": "√",
    "to": " to ",
    "rightarrow": "→",
    "ldots": "...",
    "dots": "...",
    "cdots": "...",
    "degree": "°",
    "circ": "°",
    "euro": "",
    "pounds": "",
    "left": "",
    "right": "",
    "displaystyle": "",
    "limits": "",
    "big": "",
    "Big": "",
    "bigl": "",
    "bigr": "",
    "textdollar": "",
    "percent": "%",
    "lbrace": "{",
    "rbrace": "}",
}
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SPACE = re.compile(
    r"\\[,;:> ]|(?<=[0-9])~(?=[0-9]{3})|\\(?:thinspace|quad|qquad|space|enspace|medspace"
    r"|nobreakspace)(?![A-Za-z])"
)
_ESCAPED = re.compile(r"\\([$%#&_{}])")
_FRACTION = re.compile(r"\\[dtc]?frac\s?(?:\{([^{}]*)\}|([0-9]))\s?(?:\{([^{}]*)\}|([0-9]))")
_PLAIN_PART = re.compile(r"\s*(-?)\s*\(?([0-9][0-9.,]*)\)?\s*")
_DELIMITERS = re.compile(r"\\[()\[\]]|\\!")
EXPRESSION = "⟦…⟧"
"""Stands for a formula that is not evaluated, so that no part of it is taken for a number."""


def unwrapped(text: str) -> str:
    r"""The text without `\boxed{…}`, `\text{…}` and their like; what they hold stays.

    >>> unwrapped(r"So $\boxed{\text{yes}}$.")
    'So $yes$.'
    """
    for _ in range(_PASSES):
        if "\\" not in text:
            break
        opened = _WRAPPER.sub(r"\1", text)
        if opened == text:
            break
        text = opened
    return text


def plain_latex(text: str) -> str:
    r"""The text with its formulas as a person would type them.

    >>> plain_latex(r"-2\frac{1}{2}"), plain_latex(r"3.2\times 10^{-2}"), plain_latex(r"10\,000")
    ('-2 1/2', '3.2× 10^-2', '10 000')
    """
    if "\\" not in text and "{" not in text:
        return text
    text = unwrapped(_SPACE.sub(" ", _DELIMITERS.sub("", text)).replace("{,}", ","))
    for _ in range(_PASSES):
        replaced = unwrapped(_FRACTION.sub(_fraction, text))
        if replaced == text:
            break
        text = replaced
    text = _FRACTION.sub(EXPRESSION, text)
    text = _ESCAPED.sub(r"\1", _COMMAND.sub(lambda m: _SIGNS.get(m[1], f" {m[1]} "), text))
    return text.replace("^°", "°").replace("{", "").replace("}", "").replace("\\", " ")


def _fraction(match: re.Match[str]) -> str:
    """`3/4` for plain parts, with a space after a whole number before it; other parts are no
    number."""
    parts = [
        _PLAIN_PART.fullmatch(match[1] or match[2] or ""),
        _PLAIN_PART.fullmatch(match[3] or match[4] or ""),
    ]
    if parts[0] is None or parts[1] is None:
        return EXPRESSION
    sign = "-" if (parts[0][1] == "-") != (parts[1][1] == "-") else ""
    before = match.string[: match.start()][-1:]
    space = " " if before.isdigit() and not sign else ""
    behind = " " if match.string[match.end() : match.end() + 1].isdigit() else ""
    return f"{space}{sign}{parts[0][2]}/{parts[1][2]}{behind}"


_BOLD = re.compile(r"(?<![0-9])\*\*|\*\*(?![0-9])|__|`+")


_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|br|span|div|code|mark)\s?/?>", re.IGNORECASE)


def without_emphasis(text: str) -> str:
    """The text without Markdown's `**`, `__` and backticks and HTML's like; a `**` between digits
    is a power and stays."""
    if "<" in text:
        text = _HTML.sub("", text)
    return _BOLD.sub("", text) if any(mark in text for mark in ("**", "__", "`")) else text
