"""What a model said, without what stands around it: thoughts (`thoughts.py`) and the control tokens
of chat templates.

Every reader of model text starts here: answer extraction, readers of rows, the guided reader. All
functions take any string, raise on none and need time linear in its length."""

from __future__ import annotations

import re

from smallsteps.tasks.thoughts import split_thought

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
    r"|<\|(?:im_end|im_sep|eot_id|eot|eom_id|endoftext|end_of_text|end|eos|return|end_of_turn"
    r"|endofturn"
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
    """`text` without control tokens, and how many there were; nothing else is changed. `<STOP>`,
    our own, stays.

    >>> without_control_tokens("<s>The answer is 7.</s>")
    ('The answer is 7.', 2)
    """
    if not any(mark in text for mark in ("<", "[")):
        return text, 0
    return _CONTROL.subn("", text)


def reply_text(text: str) -> str:
    """The reply of a model: the text without thoughts, up to the end of its turn, without control
    tokens. Of a transcript that opens with the prompt, the first reply.

    >>> reply_text("<think>Perhaps 9.</think>It is 7.<|im_end|>\\n<|im_start|>user\\nAnd 8?")
    'It is 7.'
    """
    if not any(mark in text for mark in ("<", "[", "◁")):
        return text
    text = split_thought(text)[1]
    kept: list[str] = []
    asks = begun = False
    at = 0
    for token in _CONTROL.finditer(text):
        if not asks:
            kept.append(text[at : token.start()])
            begun = begun or _says(kept[-1])
        at = token.end()
        if asks:
            asks = not token["replies"] and not (
                token["starts"] and not _ASKS.search(token["starts"])
            )
        elif begun and (token["starts"] or token["ends"] or token["replies"]):
            return "".join(kept).strip()
        elif token["starts"]:
            asks = bool(_ASKS.search(token["starts"]))
    if not asks:
        kept.append(text[at:])
    return "".join(kept).strip()


def _says(piece: str) -> bool:
    return any(character.isalnum() for character in piece)
