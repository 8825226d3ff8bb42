"""A text → its sentences."""

from __future__ import annotations

import re
from itertools import pairwise

_SENTENCE_END = re.compile(r"[.!?…][\"'’”)\]*]*\s+|[。！？｡।॥؟۔።။][”』」）]*\s*|(?<!\s)\s*\n\s*")
"""`(?<!\\s)`: a run of white space is looked at once, from its start; else a long run costs its
square."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|Mt|Gen|Col|Capt|Lt|Rev|Sen|Gov|vs?|approx|sq|Rs|Nr|bzw|ca"
    r"|Sra?|Mme|i\.e|e\.g|[AaPp]\.[Mm]"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|(?:[A-Z]\.)*[A-Z])|^\s*[0-9]+)\.$"
)
_NUMERO = re.compile(r"\bN(?:o|r)\.$")
"""An abbreviation before a digit alone: "The answer is no. But …" goes on."""
_LOOKBACK = 16
"""Characters before a full stop that decide whether it ends a sentence; a bound keeps long lines
linear."""


def sentences(text: str) -> list[str]:
    """The sentences of `text`, stripped: cut after `.` `!` `?` with white space, `。！？`, or a line
    break.

    Abbreviations, initials and item numbers ("Mrs.", "p.m.", "J.", "2.") end no sentence.

    >>> sentences("Mrs. Lee has 3. So she has 4! Good")
    ['Mrs. Lee has 3.', 'So she has 4!', 'Good']
    """
    text = text.strip()
    starts = [0]
    line = 0  # where the line starts
    for match in _SENTENCE_END.finditer(text):
        if match.end() == len(text):
            break
        if match[0][0] != "." or not _stays_whole(text, line, match):
            starts.append(match.end())
        if "\n" in match[0]:
            line = match.end()
    pieces = (text[start:end].strip() for start, end in pairwise([*starts, len(text)]))
    return [sentence for sentence in pieces if sentence]


def _stays_whole(text: str, line: int, match: re.Match[str]) -> bool:
    """Whether the full stop belongs to an abbreviation or an item number of the line that starts at
    `line`."""
    start = max(line, match.start() - _LOOKBACK)
    before = text[start : match.start() + 1]
    if start > line:
        before = "x" + before  # so that ^ in the pattern means the start of the line
    numero = _NUMERO.search(before) and text[match.end()].isdigit()
    return bool(numero or _ABBREVIATION.search(before))


def last_sentence(text: str) -> str:
    """The last of the `sentences` of `text`; nothing where it has none."""
    return next(reversed(sentences(text)), "")
