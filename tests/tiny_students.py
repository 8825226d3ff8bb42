"""Tiny students made on the spot: real architectures and real kinds of tokenizer, random weights,
no network."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    T5Gemma2Config,
    T5Gemma2ForConditionalGeneration,
    T5GemmaConfig,
    T5GemmaForConditionalGeneration,
)

from smallsteps.students.student import Student

CORPUS = [
    "Ann has 3 boxes with 4 pens each. She gives away 5 pens. How many pens are left?",
    "Ann has 3 boxes with 4 pens each, so she has 3 x 4 = 12 pens.",
    "She gives away 5 pens, so 12 - 5 = 7 pens are left. The answer is 7.",
    "Tom bought 16 apples and ate 2 of them; then he sold 10 for $2.50 a piece.",
    "Is it true that the sky is blue? Yes: the answer is yes!",
] * 4

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _unigram() -> PreTrainedTokenizerFast:
    """Like T5's: white space collapses, what was not seen is unknown, </s> closes."""
    # a vocabulary written down: training one gives other ids every time
    words = sorted({"▁" + word.strip(".,:;!?") for line in CORPUS for word in line.split()})
    letters = sorted(set("".join(CORPUS)) - {" "})
    pieces = [
        ("▁", -4.0),
        *((c, -6.0) for c in letters),
        *((w, -5.0) for w in words if w[1:] not in letters),
    ]
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram([*((t, 0.0) for t in special), *pieces], unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("\n", " ")]
    )
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=512,
    )


def _bytes(style: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE: `bart` frames with <s> </s>, `llama` opens with <s> and has no pad, `gemma`
    has one, `qwen` chats and pads with its end."""
    special = {
        "t5gemma": ["<pad>", "</s>", "<s>", "<unk>"],
        "bart": ["<s>", "<pad>", "</s>", "<unk>"],
        "llama": ["<s>", "</s>"],
        "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    }[style]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if style == "qwen":
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            eos_token="<|im_end|>",
            pad_token="<|im_end|>",
            chat_template=CHAT,
        )
    single = "<s> $A </s>" if style == "bart" else "<s> $A"
    pairs = [(t, special.index(t)) for t in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=pairs)
    extra = {} if style == "llama" else {"pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", **extra
    )


@cache
def _backend(style: str) -> str:
    return (_unigram() if style == "t5" else _bytes(style)).backend_tokenizer.to_str()


def _tokenizer(style: str) -> Any:
    names: dict[str, dict[str, Any]] = {
        "t5": {
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "model_max_length": 512,
        },
        "bart": {
            "bos_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
        },
        "t5gemma": {
            "bos_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
        },
        "llama": {"bos_token": "<s>", "eos_token": "</s>"},
        "qwen": {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "chat_template": CHAT},
    }
    style = style.split("-")[0].removesuffix("2")
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_backend(style)), **names[style]
    )


def make_student(
    style: str = "t5", seed: int = 0, talkative: float = 3.0, device: str = "cpu"
) -> Student:
    """A student of `style` (t5, t5-scaled, bart, t5gemma, t5gemma2, llama, qwen) with random
    weights.

    `talkative`: the factor on the end token's row of the head; larger makes rows end sooner and at
    differing lengths."""
    tokenizer = _tokenizer(style)
    vocab = len(tokenizer)
    torch.manual_seed(seed)
    shape = {"vocab_size": vocab}
    model: Any
    if style.startswith("t5gemma"):
        model = _t5gemma(vocab) if style == "t5gemma" else _t5gemma2(vocab)
    elif style.startswith("t5"):
        config = T5Config(
            **shape,
            d_model=32,
            d_kv=8,
            num_heads=4,
            d_ff=48,
            num_layers=2,
            num_decoder_layers=2,
            feed_forward_proj="relu" if style == "t5-scaled" else "gated-gelu",
            dropout_rate=0.1,
            tie_word_embeddings=style == "t5-scaled",
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=20,
            initializer_factor=3.0,
        )
        model = T5ForConditionalGeneration(config)
        # as Flan-T5's: transformers ties every T5 that it makes, but loads an untied one as it is
        if style == "t5":
            model.lm_head.weight = torch.nn.Parameter(torch.randn(vocab, 32) * 3)
            model.all_tied_weights_keys.pop("lm_head.weight")
    elif style == "bart":
        config = BartConfig(
            **shape,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=128,
            init_std=0.5,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_bos_token_id=0,
            forced_eos_token_id=None,
        )
        model = BartForConditionalGeneration(config)
        model.generation_config.forced_bos_token_id = 0
    else:
        kind, cls = (
            (LlamaConfig, LlamaForCausalLM) if style == "llama" else (Qwen2Config, Qwen2ForCausalLM)
        )
        config = kind(
            **shape,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.3,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            tie_word_embeddings=style == "qwen",
        )
        model = cls(config)
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.eos_token_id] *= talkative
    return Student(model.to(device).eval(), tokenizer, name=f"tiny-{style}")


def _gemma_stack(vocabulary: int) -> dict[str, Any]:
    """The size of each stack of a tiny T5Gemma, of either generation."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "query_pre_attn_scalar": 8,
        "sliding_window": 16,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def _t5gemma(vocabulary: int) -> Any:
    """Two stacks of Gemma 2: sliding windows in turn with full attention, caps on its logits."""
    stack = _gemma_stack(vocabulary)
    config = T5GemmaConfig(encoder=stack, decoder=stack, dropout_rate=0.1, vocab_size=vocabulary)
    return _far_from_its_input(T5GemmaForConditionalGeneration(config))


def _t5gemma2(vocabulary: int) -> Any:
    """Two stacks of Gemma 3 with one embedding; the decoder attends to both in one go."""
    stack = {
        **_gemma_stack(vocabulary),
        "layer_types": ["sliding_attention", "full_attention"],
    }
    images = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    encoder = {
        "text_config": stack,
        "vision_config": images,
        "mm_tokens_per_image": 4,
        "image_token_index": vocabulary - 1,
        "boi_token_index": vocabulary - 2,
        "eoi_token_index": vocabulary - 3,
    }
    config = T5Gemma2Config(
        encoder=encoder,
        decoder=stack,
        dropout_rate=0.1,
        image_token_index=vocabulary - 1,
        initializer_range=0.3,
    )
    return _far_from_its_input(T5Gemma2ForConditionalGeneration(config))


def _far_from_its_input(model: Any) -> Any:
    """`model` with layers that outweigh its tied embedding; else it repeats the token it reads."""
    for name, weight in model.named_parameters():
        if "post_" in name and "layernorm" in name:
            torch.nn.init.constant_(weight, 5.0)
    return model
