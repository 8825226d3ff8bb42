"""Turns the quantised SmolLM2 of a GGUF file into an ordinary Hugging Face folder.

    python benchmarks/gpu/smollm2_folder.py tokenizer MODEL.gguf FOLDER
    python benchmarks/gpu/smollm2_folder.py weights MODEL.gguf FOLDER

The tokenizer is made where the scripts are prepared, because what transformers reads from a GGUF
file differs between its versions. Its splitting and decoding are set here, as in the original.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import decoders, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

SAMPLE = "Natalia sold 48/2 = 24 clips.\n\nTotal: $1,234.50, é and 你好."


def write_tokenizer(model: Path, folder: Path) -> None:
    """Writes the tokenizer with SmolLM2's own splitting: single digits, then byte-level words."""
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    backend = tokenizer.backend_tokenizer
    backend.normalizer = None
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    if not tokenizer.chat_template:
        raise SystemExit(f"{model}: no chat template in it")
    tokenizer.save_pretrained(folder)
    check_tokenizer(folder)


def check_tokenizer(folder: Path) -> None:
    """Ends the script where text does not survive encoding and decoding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(SAMPLE, add_special_tokens=False)["input_ids"]
    spelt = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if spelt != SAMPLE:
        raise SystemExit(f"{folder}: the tokenizer turns {SAMPLE!r} into {spelt!r}")


def write_weights(model: Path, folder: Path) -> None:
    """Writes configuration and bfloat16 weights beside the tokenizer that `folder` holds."""
    read = AutoModelForCausalLM.from_pretrained(
        model.parent, gguf_file=model.name, dtype=torch.float32
    )
    config = AutoConfig.from_pretrained(model.parent, gguf_file=model.name)
    # the weights are no longer quantised; with this entry the model could not be saved
    vars(config).pop("quantization_config", None)
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = GenerationConfig.from_model_config(config)
    plain.to(torch.bfloat16).save_pretrained(folder)
    check_tokenizer(folder)


def main() -> None:
    what, model, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    {"tokenizer": write_tokenizer, "weights": write_weights}[what](model, folder)


if __name__ == "__main__":
    main()
