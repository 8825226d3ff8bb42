"""What models write around a reply: thoughts (`<think>…</think>`) and the control tokens of chat templates.

Every reader of model text starts here: answer extraction, readers of rows, teachers' and readers' replies. All
functions take any string, raise on none and need time linear in its length.

Servers differ in what they leave in a reply: the opening tag stands in the prompt and only `</think>` is written; a
limit cuts the thought; special tokens are not skipped. Tags of all common models are known, see the patterns.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Thought(NamedTuple):
    """A reply in two parts."""

    thought: str
    """What stands inside thinking tags; several thoughts are joined by a line break."""
    rest: str
    """The reply without its thoughts and tags, stripped."""
    unfinished: bool
    """Whether the last thought is never closed (a limit cut it): `rest` is then what came before it."""


_HARMONY = re.compile(
    r"<\|channel\|>(?:analysis|commentary)[^<\n]{0,40}<\|message\|>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,40}<\|message\|>"
)
_THOUGHT_TAG = re.compile(
    r"<\s?(?P<slash>/?)\s?(?:seed:)?(?:think|thinking|thoughts?)(?:\s[^<>\n]{0,80})?>"
    r"|\[(?P<bracket>/?)think(?:ing)?\]"
    r"|◁(?P<triangle>/?)think▷"
    r"|<\|(?P<word>begin|end)_of_thought\|>",
    re.IGNORECASE,
)


def split_thought(text: str) -> Thought:
    """(thought, rest, unfinished) of a reply. A closing tag without an opening one ends a thought that began with the
    text; a thought without a closing tag reaches to the end.

    >>> split_thought("<think>3? No, 4.</think> The answer is 4.")
    Thought(thought='3? No, 4.', rest='The answer is 4.', unfinished=False)
    >>> split_thought("Perhaps 3.</think>4"), split_thought("<think>Perhaps 3")
    (Thought(thought='Perhaps 3.', rest='4', unfinished=False), Thought(thought='Perhaps 3', rest='', unfinished=True))
    """
    if "<|channel|>" in text:
        text = _HARMONY.sub(lambda tag: "</think>" if ">final" in tag[0] else "<think>", text)
    thoughts: list[str] = []
    rest: list[str] = []
    inside, at = False, 0
    for tag in _THOUGHT_TAG.finditer(text):
        closes = bool(tag["slash"] or tag["bracket"] or tag["triangle"] or (tag["word"] or "").lower() == "end")
        piece = text[at : tag.start()]
        at = tag.end()
        if inside:
            thoughts.append(piece)
        elif closes:  # no opening tag: all that was written so far is thought
            thoughts += [*rest, piece]
            rest = []
        else:
            rest.append(piece)
        inside = not closes
    (thoughts if inside else rest).append(text[at:])
    thought = "\n".join(stripped for piece in thoughts if (stripped := piece.strip()))
    return Thought(thought, "".join(rest).strip() if at else text.strip(), inside)


_ROLE = r"(?:system|user|assistant|model|human|tool|ipython)"
_STARTS_TURN = (
    rf"<\|(?:im_start|start)\|>[ \t]{{0,9}}{_ROLE}?[ \t]{{0,9}}\n?"
    rf"|<\|(?:start_header_id|header_start)\|>[ \t]{{0,9}}{_ROLE}?[ \t]{{0,9}}"
    r"<\|(?:end_header_id|header_end)\|>\s?\n?"
    rf"|<start_of_turn>[ \t]{{0,9}}{_ROLE}?[ \t]{{0,9}}\n?"
    rf"|<[|｜]{_ROLE}[|｜]>|\[INST\]"
)
_ENDS_TURN = (
    r"</s>|<eos>|<end_of_turn>|<end_of_utterance>|<eot>|<eod>|\[EOS\]|<[|｜]end▁of▁sentence[|｜]>"
    r"|<\|(?:im_end|im_sep|eot_id|eot|eom_id|endoftext|end_of_text|end|eos|return|end_of_turn|endofturn"
    r"|END_OF_TURN_TOKEN)\|>"
)
_CONTROL = re.compile(
    rf"(?P<starts>{_STARTS_TURN})|(?P<ends>{_ENDS_TURN})|(?P<replies>\[/INST\])"
    r"|<[|｜][\w▁ .:-]{1,48}[|｜]>|<s>|<bos>|<pad>|<unk>|<mask>|<sep>|<cls>|<extra_id_\d{1,3}>"
    r"|\[(?:PAD|BOS|SEP|CLS|UNK|MASK)\]|<</?SYS>>",
    re.IGNORECASE,
)
_ASKS = re.compile(r"user|system|human|INST|tool|ipython", re.IGNORECASE)
"""In the token that starts a turn: the turn is no reply."""


def without_control_tokens(text: str) -> tuple[str, int]:
    """`text` without control tokens, and how many there were; nothing else is changed. `<STOP>`, our own, stays.

    >>> without_control_tokens("<s>The answer is 7.</s>")
    ('The answer is 7.', 2)
    """
    if not any(mark in text for mark in ("<", "[")):
        return text, 0
    return _CONTROL.subn("", text)


def reply_text(text: str) -> str:
    """What a model said: the text without thoughts, up to the end of its turn, without control tokens. Of a transcript
    that opens with the prompt, the first reply.

    >>> reply_text("<think>Perhaps 9.</think>The answer is 7.<|im_end|>\\n<|im_start|>user\\nAnd 8?")
    'The answer is 7.'
    """
    if not any(mark in text for mark in ("<", "[", "◁")):
        return text
    text = split_thought(text).rest
    said: list[str] = []
    asks = begun = False
    at = 0
    for token in _CONTROL.finditer(text):
        if not asks:
            said.append(text[at : token.start()])
            begun = begun or _says(said[-1])
        at = token.end()
        if asks:
            asks = not token["replies"] and not (token["starts"] and not _ASKS.search(token["starts"]))
        elif begun and (token["starts"] or token["ends"] or token["replies"]):
            return "".join(said).strip()
        elif token["starts"]:
            asks = bool(_ASKS.search(token["starts"]))
    if not asks:
        said.append(text[at:])
    return "".join(said).strip()


def _says(piece: str) -> bool:
    return any(character.isalnum() for character in piece)
