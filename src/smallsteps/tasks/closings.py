"""How teachers and untrained models close a reply: `#### 72`, `\\boxed{72}`, "Final Answer: 72",
答案是72.

Strict extraction knows the task's own closing alone (`base.closing_tail`). Lenient extraction also
takes what the last of these marks is followed by, wherever it stands."""

from __future__ import annotations

import re

from smallsteps.tasks.languages import LANGUAGES
from smallsteps.tasks.latex import unwrapped
from smallsteps.tasks.sentences import sentences

MOST_CHARACTERS = 2000
"""Of a line that are read behind a mark."""

_OTHERS = "|".join(
    language.closing_pattern for language in LANGUAGES.values() if language.code != "en"
)
_MARK = re.compile(
    r"(?P<box>\\(?:boxed|fbox)\s?\{)"
    r"|####(?!#)"
    r"|<answer>"
    r"|\b(?:final|correct|right)\s+answer(?:[\s*_]{1,4}is\b|[\s*_]{0,4}[:：=])[\s*_]{0,6}"
    r"|^[\s#*_]{0,9}(?:the\s+)?(?:final|correct|right)\s+answer[\s*_]{0,9}$"
    r"|\banswer[*_\s]{0,4}[:：=][\s*_]{0,4}"
    r"|\bantwort[*_\s]{0,4}[:：]|\br(?:é|e)ponse[*_\s]{0,4}[:：]|\brespuesta[*_\s]{0,4}[:：]"
    r"|\brisposta[*_\s]{0,4}[:：]"
    rf"|\bresposta[*_\s]{{0,4}}[:：]|\bantwoord[*_\s]{{0,4}}[:：]|{_OTHERS}",
    re.IGNORECASE | re.MULTILINE,
)
_DENIAL = re.compile(
    r"\banswer\s+(?:(?:can|could|should|would|must|was|will)\s?not|(?:ca|could|should|would|must"
    r"|was|wo)n['’]t)\b",
    re.IGNORECASE,
)
_DECORATION = " \t*_`#:：=>-–—"


def lenient_tail(text: str) -> str | None:
    """What follows the last mark of a closing, one line at most; None where there is no mark.

    >>> lenient_tail("So she has 72 pens.\\n#### 72"), lenient_tail(r"So \\boxed{72} pens.")
    ('72', '72')
    """
    marks = list(_MARK.finditer(text))
    if not marks:
        return None
    last = marks[-1]
    if last["box"]:
        return _braced(text, last.end())
    rest = text[last.end() : last.end() + MOST_CHARACTERS].split("</answer>")[0]
    lines = (line.strip(_DECORATION) for line in rest.splitlines())
    return next((line for line in lines if any(character.isalnum() for character in line)), None)


def without_mark(text: str) -> str:
    """`text` without the lines of its last mark (`#### 72`), and with boxes opened; a mark inside a
    sentence stays.

    >>> without_mark("She has 72 pens.\\n#### 72"), without_mark(r"She has \\boxed{72} pens.")
    ('She has 72 pens.', 'She has 72 pens.')
    """
    marks = list(_MARK.finditer(text))
    if marks and not marks[-1]["box"]:
        line = text.rfind("\n", 0, marks[-1].start() + 1) + 1
        alone = not text[line : marks[-1].start()].strip(_DECORATION)
        if line and alone and len(text) - line < MOST_CHARACTERS:
            text = text[:line].rstrip(_DECORATION + "\n")
    return unwrapped(text)


def denies(text: str) -> bool:
    """Whether the last sentence says what the answer cannot be."""
    return _DENIAL.search((sentences(text[-MOST_CHARACTERS:]) or [""])[-1]) is not None


def _braced(text: str, start: int) -> str:
    """From `start` to the brace that closes, or the end of the line."""
    depth = 1
    window = text[start : start + MOST_CHARACTERS]
    for place, character in enumerate(window):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return window[:place]
    return window.splitlines()[0] if window else ""
