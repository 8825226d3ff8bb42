"""Students from scratch: a tokenizer trained on the data and a T5 or a Llama with fresh weights.

For where no pre-trained student can be had, or none fits (a language or notation of its own): two
kinds of tokenizer, two architectures. Byte-level BPE with digits apart writes any text; single
characters suit Chinese."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from smallsteps.students.settings import SPECIAL, ScratchSettings
from smallsteps.students.student import Student


def from_scratch(texts: Iterable[str], settings: ScratchSettings, seed: int = 0) -> Student:
    """A student that has read nothing; its tokenizer knows `texts` (training data alone, or it
    peeks)."""
    tokenizer = scratch_tokenizer(texts, settings)
    return Student(make_model(settings, len(tokenizer), seed), tokenizer, name="scratch")


def scratch_tokenizer(texts: Iterable[str], settings: ScratchSettings) -> Any:
    """The tokenizer that the settings name, trained on `texts`. That of an encoder-decoder closes
    every text with `</s>`; that of a causal model does not, because it writes on from its
    prompt."""
    make = byte_tokenizer if settings.tokenizer == "bytes" else character_tokenizer
    tokenizer = make(texts, settings.vocabulary)
    if settings.architecture == "causal":
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    return tokenizer


def make_model(
    settings: ScratchSettings, vocabulary: int, seed: int
) -> T5ForConditionalGeneration | LlamaForCausalLM:
    """A model of the architecture that the settings name, with weights drawn from the seed."""
    make = make_llama if settings.architecture == "causal" else make_t5
    return make(settings, vocabulary, seed)


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


CONTEXT = 2048
"""Most tokens that a causal student from scratch reads and writes together."""


def make_llama(settings: ScratchSettings, vocabulary: int, seed: int) -> LlamaForCausalLM:
    """A Llama (tied embeddings) with weights drawn from the seed; its vocabulary is a multiple of
    32. Dropout is that of attention, the only one that a Llama has."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=-(-vocabulary // 32) * 32,
        hidden_size=settings.d_model,
        head_dim=settings.d_kv,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        intermediate_size=settings.d_ff,
        num_hidden_layers=settings.layers,
        attention_dropout=settings.dropout,
        attention_bias=settings.neighbours,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    if settings.neighbours:
        lean_back(model)
    return model


def lean_back(model: LlamaForCausalLM, scale: float = 5.0, frequencies: int = 4) -> None:
    """Starts a head of the first layer off attending to the token before, another to the one before
    that, and a head of the second layer to the token before; training is free to change them.

    Rotary positions turn the query's bias and the key's by their places. A query's bias that is the
    key's turned back by n places matches best where the key stands n places before. Only the
    fastest frequencies tell neighbours apart; the first four leave the token before 97 % of the
    attention."""
    angles = model.model.rotary_emb.inv_freq[:frequencies]
    slow = len(model.model.rotary_emb.inv_freq)  # the halves of a head's width turn together
    width = 2 * slow
    layers: Any = model.model.layers
    with torch.no_grad():
        for layer, distances in zip(layers, ((1, 2), (1,)), strict=False):
            heads = zip(range(model.config.num_attention_heads), distances, strict=False)
            for head, distance in heads:
                query = layer.self_attn.q_proj.bias[head * width : (head + 1) * width]
                key = layer.self_attn.k_proj.bias[head * width : (head + 1) * width]
                query[: len(angles)] = scale * torch.cos(distance * angles)
                query[slow : slow + len(angles)] = -scale * torch.sin(distance * angles)
                key[: len(angles)] = scale


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
