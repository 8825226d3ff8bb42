"""Recognises a reply that runs in a circle.

Greedy decoding of a student that was not trained to end its chains often repeats one sentence until
the token limit, or counts on without end ("So, 17 + 1 = 18. Now ... So, 18 + 1 = 19."). What
follows is wasted time, so `solve` can end such a reply.

Right chains repeat themselves too: "1 hour is 60, 2 hours are 120, ...". The limits are well above
what 19,000 chains of people and large models do (GSM8K, SVAMP, StrategyQA, PET; a test marked
`data` reads them). The longest exact repetition there is 24 tokens. Where only numbers change, it
is 109 tokens in 6 turns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

LONGEST_PERIOD = 96
"""Tokens. A longer block that repeats is not recognised."""

REPEATED_TOKENS, TURNS = 64, 3
"""A block that repeats without a change must fill at least this many tokens, so that a short run
("0 0 0 0") is no loop, and be written at least this many times in a row."""

COUNTED_TOKENS, COUNTED_TURNS = 160, 6
"""The same for a block in which numbers change; tokens of numbers are not counted."""

CHECK_EVERY = 8
"""Tokens between two looks at a reply; a look costs microseconds."""


def repeats(ids: Sequence[int], numbers: Collection[int] = frozenset()) -> bool:
    """Whether `ids` end in a block of at most `LONGEST_PERIOD` tokens that is written again and
    again, without a change or with other numbers only. `numbers`: ids of all tokens that are
    numbers.

    >>> repeats([1, 2, 3] * 30), repeats([1, 2, 3] * 5), repeats(list(range(200)))
    (True, False, False)
    >>> counting = [i for n in range(60) for i in (1, 2, 3, 100 + n)]
    >>> repeats(counting), repeats(counting, range(100, 200))
    (False, True)
    """
    if _circles(ids, REPEATED_TOKENS, TURNS):
        return True
    if not numbers or len(ids) < COUNTED_TOKENS:
        return False
    return _circles([i for i in ids if i not in numbers], COUNTED_TOKENS, COUNTED_TURNS)


def _circles(ids: Sequence[int], tokens: int, turns: int) -> bool:
    """Whether a block fills the last `tokens` of `ids` at least, in at least `turns` turns."""
    length = len(ids)
    for period in range(1, min(LONGEST_PERIOD, length // turns) + 1):
        span = max(tokens, turns * period)
        if span > length:
            continue
        if ids[-1] == ids[-1 - period] and ids[-span:-period] == ids[period - span :]:
            return True
    return False


def loops(ids: Sequence[int], numbers: Collection[int] = frozenset()) -> bool:
    """`repeats`, looked at only at every `CHECK_EVERY`-th token: what a request asks after each
    token."""
    return len(ids) % CHECK_EVERY == 0 and repeats(ids, numbers)
