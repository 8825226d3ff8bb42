"""Recognises a reply that runs in a circle.

Greedy decoding of a student that was not trained to end its chains often repeats one sentence until
the token limit. Everything after the first repetition is wasted time, so `solve` can end such a
reply. Loops that change in each turn ("Step 5: ...", "Step 6: ...") are not recognised."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_PERIOD = 96
"""Tokens. A longer block that repeats is not recognised."""

REPEATED_TOKENS = 64
"""A loop must fill at least this many tokens, so that a short run ("0 0 0 0") is no loop."""

TURNS = 3
"""A block must be written at least this many times in a row."""

CHECK_EVERY = 8
"""Tokens between two looks at a reply; a look costs microseconds."""


def repeats(ids: Sequence[int]) -> bool:
    """Whether `ids` end in a block of at most `LONGEST_PERIOD` tokens that repeats without a
    change.

    >>> repeats([1, 2, 3] * 30), repeats([1, 2, 3] * 5), repeats(list(range(200)))
    (True, False, False)
    """
    length = len(ids)
    for period in range(1, min(LONGEST_PERIOD, length // TURNS) + 1):
        span = max(REPEATED_TOKENS, TURNS * period)
        if span > length:
            continue
        if ids[-1] == ids[-1 - period] and ids[-span:-period] == ids[period - span :]:
            return True
    return False


def loops(ids: Sequence[int]) -> bool:
    """`repeats`, looked at only at every `CHECK_EVERY`-th token: what a request asks after each
    token."""
    return len(ids) % CHECK_EVERY == 0 and repeats(ids)
