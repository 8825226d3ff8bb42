"""Own data whose answers are words: the answer is what the closing says, compared as normalised
strings."""

from __future__ import annotations

import re

from smallsteps.records import Problem
from smallsteps.tasks.base import (
    Task,
    closing_tail,
    normalise,
    render_question,
    same_text,
    undecorated,
)
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.closings import denies, lenient_tail
from smallsteps.tasks.languages import bare_answer, closing_pattern
from smallsteps.tasks.sentences import last_sentence

DENIED = re.compile(r"\s*n['’]t\b")
"""How what follows "the answer is" begins where a reply says what the answer isn't."""


def extract_text(
    text: str, lenient: bool = False, problem: Problem | None = None, language: str = "en"
) -> str | None:
    """What follows the closing phrase, without its full stop; lenient: else what follows a
    teacher's mark, else the last sentence.

    >>> extract_text("Ann lives in Rome. The answer is Rome.")
    'Rome'
    """
    tail = closing_tail(text, closing_pattern(language))
    if tail is None and lenient:
        reply = reply_text(text)
        tail = lenient_tail(reply) or ("" if denies(reply) else last_sentence(reply))
    if tail is None or DENIED.match(tail):
        return None
    bare = bare_answer(undecorated(tail), language)
    return bare if normalise(bare) else None


TEXT = Task(name="text", render=render_question, extract=extract_text, same=same_text)
