"""A student of SmolLM2-135M's shape with random weights: random_student.py CHAINS.jsonl OUT."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from smallsteps.records import Chain
from smallsteps.students.scratch import byte_tokenizer
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains


def random_student(chains: Sequence[Chain], layers: int = 30) -> Student:
    """The student, with a tokenizer that is trained on the chains."""
    texts = [text for chain in chains for text in (chain.problem.question, chain.rationale.text)]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    return Student(LlamaForCausalLM(config), byte_tokenizer(texts, 8192))


if __name__ == "__main__":
    known = read_chains(Path(sys.argv[1]), get_task("gsm8k")).chains[:1000]
    random_student(known).save(Path(sys.argv[2]))
