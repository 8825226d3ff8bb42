"""The tokenizer in a GGUF file, as a tokenizer of transformers that is whole in tokenizer.json.

A file holds the vocabulary, the merges and the kind of each token. Byte-level vocabularies (GPT-2's
kind: SmolLM2, Llama 3, Qwen) are built here, because releases of transformers differ in what they
make of them: 5.5 gives SmolLM2 another end token. For the rest (SentencePiece), and for the
patterns that split text into words, transformers is asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallsteps.errors import StudentError
from smallsteps.students.gguf_header import read_header

BYTE_LEVEL = "gpt2"
"""`tokenizer.ggml.model` of byte-level vocabularies."""

TOKENS, KINDS, MERGES = (f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges"))

CONTROL, USER_DEFINED = 3, 4
"""Kinds of tokens that are never cut: special ones such as `<|im_end|>`, and others."""

NAMES = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
"""Name in transformers → name in the file, below `tokenizer.ggml.`."""

DIGITS_APART = {
    "smollm",
    "starcoder",
    "refact",
    "command-r",
    "codeshell",
    "exaone",
    "minerva-7b",
}
"""`tokenizer.ggml.pre` of vocabularies without numbers of several digits: digits are cut apart,
then words as GPT-2 does. transformers (5.24) does the second only. Source: llama.cpp."""

AS_GPT2 = {"gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "default"}
"""`tokenizer.ggml.pre` of vocabularies whose text is split as GPT-2 splits it."""

SAMPLE = "Natalia sold 48/2 = 24 clips.\n\nTotal: $1,234.50, é and 你好."
"""Text that must survive encoding and decoding where a tokenizer works on bytes."""


def read_gguf_tokenizer(path: Path, label: str) -> Any:
    """The tokenizer in a GGUF file, with its chat template. label: stands before messages.

    Prints a line where the file names a way of splitting that is not known. Raises StudentError
    where text does not survive it, and whatever transformers raises for a kind that it does not
    know."""
    from transformers import PreTrainedTokenizerFast

    metadata = read_header(path, label, {TOKENS, KINDS, MERGES}).metadata
    template = metadata.get("tokenizer.chat_template")
    if metadata.get("tokenizer.ggml.model") != BYTE_LEVEL:
        read = _read_by_transformers(path)
        return PreTrainedTokenizerFast(
            tokenizer_object=read.backend_tokenizer,
            chat_template=template,
            **read.special_tokens_map,
        )
    backend = _byte_level(metadata, path, label)
    tokens = metadata[TOKENS]
    ids = {name: metadata.get(f"tokenizer.ggml.{key}") for name, key in NAMES.items()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        chat_template=template,
        **{name: tokens[token] for name, token in ids.items() if token is not None},
    )
    back = tokenizer.decode(
        tokenizer(SAMPLE, add_special_tokens=False)["input_ids"],
        clean_up_tokenization_spaces=False,
    )
    if back != SAMPLE:
        raise StudentError(f"{label}: its tokenizer turns {SAMPLE!r} into {back!r}.")
    return tokenizer


def _read_by_transformers(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)


def _byte_level(metadata: Mapping[str, Any], path: Path, label: str) -> Any:
    """The tokenizer of a byte-level vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    tokens = metadata[TOKENS]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ")) for merge in metadata[MERGES]]
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.decoder = decoders.ByteLevel()
    as_gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    split = metadata.get("tokenizer.ggml.pre", "default")
    if split in DIGITS_APART:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, as_gpt2])
    elif split in AS_GPT2:
        backend.pre_tokenizer = as_gpt2
    else:
        read = _read_by_transformers(path).backend_tokenizer
        backend.pre_tokenizer = read.pre_tokenizer
        if read.normalizer is not None:
            backend.normalizer = read.normalizer
        if str(read.pre_tokenizer) == str(as_gpt2):
            print(
                f"{label}: how its tokenizer splits text ({split!r}) is not known; it is split as "
                "GPT-2 does, which may cost accuracy.",
                file=sys.stderr,
            )
    kinds = metadata.get(KINDS, [])
    for kind, special in ((CONTROL, True), (USER_DEFINED, False)):
        backend.add_tokens(
            [
                AddedToken(token, normalized=False, special=special)
                for token, its_kind in zip(tokens, kinds, strict=False)
                if its_kind == kind
            ]
        )
    start = metadata.get("tokenizer.ggml.bos_token_id")
    if metadata.get("tokenizer.ggml.add_bos_token") and start is not None:
        first = tokens[start]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, start)]
        )
    return backend
