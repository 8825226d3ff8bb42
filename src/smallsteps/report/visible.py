"""Makes text of users, models and servers safe for the terminal: control characters are shown,
never obeyed."""

from __future__ import annotations

PICTURES: dict[int, int] = {
    code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"
} | {0x7F: 0x2421}
"""Control character → its visible picture."""
UNKNOWN = 0xFFFD
PICTURES |= dict.fromkeys(
    range(0x80, 0xA0), UNKNOWN
)  # C1: some terminals obey them as escape sequences
PICTURES |= dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A)], UNKNOWN
)  # turn the order of what follows
PICTURES |= dict.fromkeys((0x2028, 0x2029), 0x240A)  # break lines in some terminals
PICTURES |= dict.fromkeys(
    range(0xD800, 0xE000), UNKNOWN
)  # halves of characters, which nothing can print


def visible(text: str) -> str:
    """`text` with each control character replaced by a picture of it. Line breaks and tabs stay.

    >>> visible("a" + chr(27) + "[31mb")
    'a␛[31mb'
    """
    return text.translate(PICTURES)


def visible_line(text: str) -> str:
    """`visible` on one line: the line breaks in `text` become semicolons.

    >>> visible_line("no such file." + chr(10) + "  Check the path.")
    'no such file.; Check the path.'
    """
    return visible("; ".join(line.strip() for line in text.splitlines() if line.strip()))
