"""Tiny GGUF files, as llama.cpp writes them: for tests of reading and converting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from smallsteps.students.student import Student
from tiny_students import CHAT, CORPUS, make_student

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
QUANTISED = gguf.GGMLQuantizationType


def tiny_llama(seed: int = 0) -> Student:
    """A chatting causal student whose weights bfloat16 can hold."""
    tokenizer = make_student("qwen").tokenizer
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).eval()
    for weight in model.parameters():  # not `model.to`: it would round the rotations as well
        weight.data = weight.data.to(torch.bfloat16).float()
    return Student(model, tokenizer, name="tiny-llama")


def write_gguf(
    path: Path,
    student: Student | None = None,
    *,
    kind: Any = QUANTISED.F32,
    architecture: str = "llama",
    tokenizer: Literal["bytes", "sentencepiece"] | None = "bytes",
    entries: dict[str, Any] | None = None,
    renamed: dict[str, str] | None = None,
    leave_out: str = "no tensor",
) -> Path:
    """Writes a student (default: `tiny_llama`) as a GGUF file. kind: type of its matrices. entries:
    further metadata, whole numbers or texts. renamed: tokens under another name. leave_out: part of
    the name of missing tensors."""
    student = student or tiny_llama()
    config = student.model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if tokenizer == "sentencepiece":
        _add_sentencepiece(writer, config.vocab_size)
    elif tokenizer:
        _add_tokenizer(writer, student.tokenizer, renamed or {})
    for key, value in (entries or {}).items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_string)(key, value)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in student.model.state_dict().items():
        if leave_out in name:
            continue
        matrix = weight.numpy()
        for part, count in heads.items():
            if part in name:
                matrix = _permuted(matrix, count)
        if matrix.ndim == 2 and kind != QUANTISED.F32:
            writer.add_tensor(_name(name), gguf.quantize(matrix, kind), raw_dtype=kind)
        else:
            writer.add_tensor(_name(name), np.ascontiguousarray(matrix))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, tokenizer: Any, renamed: dict[str, str]) -> None:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = set(tokenizer.all_special_tokens) | {t["content"] for t in backend["added_tokens"]}
    types = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([renamed.get(token, token) for token in tokens])
    writer.add_token_types([types.CONTROL if t in special else types.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in backend["model"]["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)


def _add_sentencepiece(writer: Any, size: int) -> None:
    """Llama's kind: pieces with scores, bytes for what has no piece, <s> before every text."""
    types = gguf.TokenType
    rows = [
        ("<unk>", 0.0, types.UNKNOWN),
        ("<s>", 0.0, types.CONTROL),
        ("</s>", 0.0, types.CONTROL),
    ]
    rows += [(f"<0x{byte:02X}>", 0.0, types.BYTE) for byte in range(256)]
    pieces = ["▁", "▁p", "▁pe", "▁pen", "▁pens", *sorted(set("".join(CORPUS)) - {" "})]
    rows += [(piece, -float(rank), types.NORMAL) for rank, piece in enumerate(pieces, 1)]
    rows += [(f"<unused{n}>", -1000.0, types.UNUSED) for n in range(size - len(rows))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token for token, _, _ in rows])
    writer.add_token_scores([score for _, score, _ in rows])
    writer.add_token_types([kind for _, _, kind in rows])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def _name(name: str) -> str:
    """What llama.cpp calls a weight of Llama."""
    if name in NAMES:
        return NAMES[name]
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{PARTS[part.removesuffix('.weight')]}.weight"


def _permuted(matrix: Any, heads: int) -> Any:
    """The rows in the order in which llama.cpp rotates them: pairs beside each other."""
    half = matrix.shape[0] // heads // 2
    return matrix.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(matrix.shape)
