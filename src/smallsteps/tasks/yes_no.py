"""Yes or no: StrategyQA. Chains close with "The answer is yes." or "The answer is no."."""

from __future__ import annotations

import re

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, render_question

_VERDICT = re.compile(r"\b(?:(yes|true)\b|(no|false)\b(?=\s*(?:[.,;:!?\"'”’)*]|$)))", re.IGNORECASE)
"""`no` needs a mark after it: in "there is no such thing" it answers nothing."""


def _verdicts(text: str) -> list[str]:
    return ["yes" if match[1] else "no" for match in _VERDICT.finditer(text)]


def extract_yes_no(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """`yes` or `no` as the closing says ("The answer is no, because …"); lenient: else the last one that stands as an
    answer ("Yes, he could."). True and false count as yes and no.

    >>> extract_yes_no("The answer is no, a yes would be wrong."), extract_yes_no("There is no such thing.", True)
    ('no', None)
    """
    tail = closing_tail(text)
    said = _verdicts(tail) if tail is not None else []
    if said:
        return said[0]
    found = _verdicts(text) if lenient else []
    return found[-1] if found else None


def same_yes_no(answer: str | None, gold: str | None) -> bool:
    """Whether both say yes or both say no."""
    a, b = (_verdicts(text or "")[:1] for text in (answer, gold))
    return bool(a) and a == b


STRATEGYQA = Task(name="strategyqa", render=render_question, extract=extract_yes_no, same=same_yes_no)
