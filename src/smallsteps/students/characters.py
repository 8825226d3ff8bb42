"""Characters that a tokenizer cannot write, and the reversible rule that writes them all the same.

A sentence-piece unigram tokenizer (T5, Flan-T5) turns line breaks into spaces, runs of spaces into
one, and `{ } < \\ ~` into unknown. Each such character of the training data gets a token of its
own, and `<sp>` stands for the spaces that the tokenizer would drop. Text is cut at these
characters; the runs between them are tokenised as usual. Not here: finding the characters
(`tokens.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

MARKERS = {"ES": "<es>", "AS": "<as>"}
"""Kind of segment → its marker token."""

SPACE_TOKEN = "<sp>"
"""Stands for one space that the tokenizer would drop."""


@dataclass(frozen=True)
class CharacterMap:
    """Text ↔ ids with extra tokens for some characters."""

    ids: dict[str, int]
    """Character → id of its added token; a space → the id of `<sp>`."""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        inside = re.escape("".join(sorted(c for c in self.ids if c != " ")))
        mapped = f"[{inside}]" if inside else "(?!)"
        # a tokenizer drops spaces beside an added character, in a run, and at either end
        pattern = rf"({mapped}|(?<={mapped}) +| {{2,}}| +(?={mapped})|^ +| +$)"
        object.__setattr__(self, "pattern", re.compile(pattern))

    def encode(self, text: str, tokenize: Callable[[str], list[int]]) -> list[int]:
        """Ids of `text`; `tokenize` encodes the runs between added characters."""
        ids: list[int] = []
        for _, piece, added_id in self.pieces(text):
            ids += tokenize(piece) if added_id is None else [added_id]
        return ids

    def pieces(self, text: str) -> Iterator[tuple[int, str, int | None]]:
        """(start in `text`, characters, id of the added token or None), piece by piece."""
        start = 0
        for place, piece in enumerate(self.pattern.split(text)):
            if place % 2:
                for offset, character in enumerate(piece):
                    yield start + offset, character, self.ids[character]
            elif piece:
                yield start, piece, None
            start += len(piece)

    def decode(self, ids: Sequence[int], detokenize: Callable[[list[int]], str]) -> str:
        """The text again; `detokenize` decodes the runs between added characters."""
        characters = {token: character for character, token in self.ids.items()}
        text = ""
        run: list[int] = []
        for token in ids:
            if token in characters:
                text += (detokenize(run) if run else "") + characters[token]
                run = []
            else:
                run.append(token)
        return text + (detokenize(run) if run else "")
