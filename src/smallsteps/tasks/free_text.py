"""Own data whose answers are words: the answer is what the closing says, compared as normalised strings."""

from __future__ import annotations

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, last_sentence, normalise, render_question, same_text


def extract_text(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """What follows the closing phrase, without its full stop; lenient: else the last sentence.

    >>> extract_text("Ann lives in Rome. The answer is Rome.")
    'Rome'
    """
    said = closing_tail(text)
    if said is None and lenient:
        said = last_sentence(text)
    if said is None or not normalise(said):
        return None
    return said.rstrip(" .") or said


TEXT = Task(name="text", render=render_question, extract=extract_text, same=same_text)
