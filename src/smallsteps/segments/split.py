"""A rationale → its sub-sentences; joined, they are the rationale, character for character.

First step of segmentation (Xi et al. 2024, Sec. 3.1): "split at punctuation". The paper names no
marks; ours are listed at `split`. White space after a mark belongs to the piece before it. The
closing sentence is a sub-sentence like the others."""

from __future__ import annotations

import re
from itertools import pairwise

_WIDE = "，。；：！？｡।॥؟؛،۔።፣፤။၊។"
"""Marks of other scripts, which need no white space after them."""
_BOUNDARY = (
    rf"[{_WIDE}]+\s*"
    r"|[,.;:?!…]+(?:\s+|\Z)"
    r"|[\n\r\x85\u2028\u2029]\s*"
)
_BOUNDARIES = {
    "": re.compile(_BOUNDARY),
    # the comma of Japanese; in Chinese it joins the items of a list
    "ja": re.compile(rf"、\s*|{_BOUNDARY}"),
    # clauses end in white space
    "th": re.compile(rf"{_BOUNDARY}|(?<=[\u0e00-\u0e7f])\s+(?=[\u0e00-\u0e7f])"),
}
_ABBREVIATION = re.compile(
    # [A-Z]: initials, U.S.
    r"(?<![^\W\d_])(?:Mr|Mrs|Ms|Dr|St|No|[Vv]s|[Ee]tc|[Ee]\.g|[Ii]\.e|[AaPp]\.m|[A-Z])\Z"
)
_ITEM_NUMBER = re.compile(r"(?:\A|[\n\r\x85\u2028\u2029.;?!。；：！？।؟]|\s\s)\s*[0-9]{1,2}\Z")
_LINE_BREAK = re.compile(r"[\n\r\x85\u2028\u2029]")
_LOOKBACK = 16
"""Characters that decide whether a full stop ends a sub-sentence; a bound keeps splitting
linear."""


def split(text: str, language: str = "en") -> list[str]:
    """Sub-sentences of `text`; `"".join(split(text)) == text`. An empty text has none.

    A piece ends after `, . ; : ? ! …` followed by white space or the end, after `，。；：！？` and the
    like of other scripts (`।`, `؟`), and at a line break; in Japanese after `、`, in Thai at white
    space between clauses; not between digits (3.5, 1,000, 10：30), not inside an ellipsis, not after
    Mr. Mrs. Ms. Dr. St. No. vs. etc. e.g. i.e. a.m. p.m. U.S. or a single capital with a full stop,
    not after a leading item number (`1.`, `1、`). A piece is never made of marks and white space
    alone unless the text is.

    >>> split("Dr. Lee pays $1,000.50, i.e. half... So 3. 1. Next")
    ['Dr. Lee pays $1,000.50, ', 'i.e. half... ', 'So 3. ', '1. Next']
    """
    cuts = [0]
    for match in _BOUNDARIES.get(language, _BOUNDARIES[""]).finditer(text):
        if _stays_whole(text, match):
            continue
        if _bare(text[cuts[-1] : match.start()]):
            if len(cuts) > 1:  # spaced ellipses, `。 。`: the marks go to the piece before them
                cuts[-1] = match.end()
        else:
            cuts.append(match.end())
    if cuts[-1] < len(text):
        if len(cuts) > 1 and _bare(text[cuts[-1] :]):
            cuts[-1] = len(text)
        else:
            cuts.append(len(text))
    return [text[start:end] for start, end in pairwise(cuts)]


def _bare(piece: str) -> bool:
    return not piece.strip(" \t\n\r\x85\u2028\u2029\u3000,.;:?!…、" + _WIDE) or not piece.strip()


def _stays_whole(text: str, match: re.Match[str]) -> bool:
    """Whether the marks found belong to a number, an abbreviation or an item number."""
    start, mark = match.start(), match.group().strip()
    if mark in ("，", "：", "،", "、"):
        return (
            start > 0
            and text[start - 1].isdigit()
            and text[match.end() : match.end() + 1].isdigit()
        )
    if mark != "." or match.end() == len(text) or _LINE_BREAK.search(match.group()):
        return False
    before = text[max(0, start - _LOOKBACK) : start]
    if start > _LOOKBACK:
        before = "x" + before  # so that \A in the patterns means the start of the text
    return bool(_ABBREVIATION.search(before) or _ITEM_NUMBER.search(before))
