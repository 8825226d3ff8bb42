"""Which ids a model and its tokenizer treat as special: ends, the decoder's start, and the frame
that a tokenizer puts around a text; and which ids are numbers."""

from __future__ import annotations

from typing import Any

from smallsteps.errors import StudentError


def find_end_ids(model: Any, tokenizer: Any, name: str) -> tuple[int, frozenset[int]]:
    """(the id that targets end in, all ids at which generation stops).

    Raises StudentError if neither tokenizer nor config names an end of sequence."""
    stated = (
        tokenizer.eos_token_id,
        getattr(model.generation_config, "eos_token_id", None),
        model.config.eos_token_id,
    )
    ends: list[int] = []
    for ids in stated:
        if isinstance(ids, list):
            ends += ids
        elif ids is not None:
            ends.append(ids)
    if not ends:
        raise StudentError(
            f"{name}: neither the tokenizer nor config.json names an end-of-sequence token. "
            "Set tokenizer.eos_token."
        )
    return ends[0], frozenset(ends)


def find_start_id(model: Any, name: str) -> int:
    """The first decoder input of an encoder-decoder: the id that a file names for it, else the
    beginning of a text (T5Gemma), else the pad id (T5). Raises StudentError if none is named."""
    for key in ("decoder_start_token_id", "bos_token_id"):
        for config in (model.generation_config, model.config):
            start: int | None = getattr(config, key, None)
            if start is not None:
                return start
    if model.config.pad_token_id is None:
        raise StudentError(
            f"{name}: config.json names no decoder_start_token_id. Add it to the model's config."
        )
    return int(model.config.pad_token_id)


def find_frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """(ids before, ids after) that the tokenizer puts around every text; BART: `<s>` and `</s>`."""
    bare: list[int] = tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
    framed: list[int] = tokenizer("a", verbose=False)["input_ids"]
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return framed[:start], framed[start + len(bare) :]
    return [], []


def find_number_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of all tokens that are digits and nothing else, with or without the space before them."""
    # byte-level tokenizers write a space as Ġ, sentencepiece as ▁
    return frozenset(
        token_id
        for text, token_id in tokenizer.get_vocab().items()
        if text.strip("Ġ▁ ").isdecimal()
    )
