"""Students from scratch: a tokenizer trained on the data and a T5 with fresh weights.

For where no pre-trained student can be had, or none fits (a language or notation of its own): two
kinds of tokenizer, one architecture. Byte-level BPE with digits apart writes any text; single
characters suit Chinese."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from smallsteps.students.settings import SPECIAL, ScratchSettings
from smallsteps.students.student import Student


def from_scratch(texts: Iterable[str], settings: ScratchSettings, seed: int = 0) -> Student:
    """A student that has read nothing; its tokenizer knows `texts` (training data alone, or it
    peeks)."""
    make = byte_tokenizer if settings.tokenizer == "bytes" else character_tokenizer
    tokenizer = make(texts, settings.vocabulary)
    return Student(make_t5(settings, len(tokenizer), seed), tokenizer, name="scratch")


def make_t5(settings: ScratchSettings, vocabulary: int, seed: int) -> T5ForConditionalGeneration:
    """A T5 (gated GELU, tied embeddings) with weights drawn from the seed; its vocabulary is a
    multiple of 32."""
    torch.manual_seed(seed)
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=-(-vocabulary // 32) * 32,
        d_model=settings.d_model,
        d_kv=settings.d_kv,
        num_heads=settings.heads,
        d_ff=settings.d_ff,
        num_layers=settings.layers,
        num_decoder_layers=settings.layers,
        dropout_rate=settings.dropout,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    model = T5ForConditionalGeneration(config)
    if settings.neighbours:
        lean_on_neighbours(model)
    return model


def lean_on_neighbours(model: T5ForConditionalGeneration, bias: float = 4.0) -> None:
    """Starts some heads off attending to the token before, the one before that, and the one after.

    Copying needs such heads, and a T5, whose cross-attention knows no positions, finds them by
    itself only after millions of tokens; training is free to change them."""
    stacks: tuple[Any, Any] = (model.encoder, model.decoder)
    encoder, decoder = (
        stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight for stack in stacks
    )
    after = model.config.relative_attention_num_buckets // 2 + 1  # bucket of the next token
    with torch.no_grad():
        for head, bucket in zip(range(model.config.num_heads), (1, 2, after), strict=False):
            encoder[bucket, head] += bias
        for head, bucket in zip(range(model.config.num_heads), (1, 2), strict=False):
            decoder[bucket, head] += bias


def byte_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """Byte-level BPE: any text survives the round trip; each digit is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Split(Regex(r" ?\d"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer)


def character_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """One token a character, the most frequent ones; others are unknown."""
    tokenizer = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer)


def _finish(tokenizer: Tokenizer) -> Any:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[3:],
        clean_up_tokenization_spaces=False,
        model_max_length=100_000,
    )
