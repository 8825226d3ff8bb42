"""Thoughts of models that think: what stands between `<think>` and `</think>`, in the forms that
models write.

A thought is no part of a reply: its numbers, options and "Prediction:" are what the model
considered, not what it says."""

from __future__ import annotations

import re

_MARK = re.compile(
    r"(?P<opening><\s?(?:seed:)?(?:think|thinking|thoughts?)(?:\s[^<>\n]{0,80})?>|\[think(?:ing)?\]"
    r"|◁think▷"
    r"|<\|begin_of_thought\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,40}<\|message\|>)"
    r"|(?P<closing><\s?/\s?(?:seed:)?(?:think|thinking|thoughts?)\s?>|\[/think(?:ing)?\]|◁/think▷"
    r"|<\|end_of_thought\|>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,40}<\|message\|>)",
    re.IGNORECASE,
)


def split_thought(text: str) -> tuple[str | None, str, bool]:
    """(thought or None, what stands outside of it, whether the thought ended); both stripped,
    several thoughts joined by a blank line. A closing mark without an opening one ends a thought
    that the chat template opened.

    >>> split_thought("<think>Perhaps 9.</think>So it is 7.")
    ('Perhaps 9.', 'So it is 7.', True)
    >>> split_thought("Perhaps 9.</think>So it is 7."), split_thought("<think>Perhaps 9.")
    (('Perhaps 9.', 'So it is 7.', True), ('Perhaps 9.', '', False))
    """
    thoughts: list[str] = []
    outside: list[str] = []
    thinking, any_mark, start = False, False, 0
    for mark in _MARK.finditer(text):
        piece, start, any_mark = text[start : mark.start()].strip(), mark.end(), True
        if thinking:
            thoughts.append(piece)
        elif mark["closing"]:
            thoughts += [*outside, piece]
            outside = []
        else:
            outside.append(piece)
        thinking = mark["opening"] is not None
    if not any_mark:
        return None, text.strip(), True
    (thoughts if thinking else outside).append(text[start:].strip())
    return (
        "\n\n".join(filter(None, thoughts)) or None,
        "\n\n".join(filter(None, outside)),
        not thinking,
    )
