"""Settings of a student made from scratch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from smallsteps.config import Settings
from smallsteps.students.characters import MARKERS
from smallsteps.tasks.base import STOP_TOKEN

SPECIAL = ["<pad>", "</s>", "<unk>", STOP_TOKEN, *MARKERS.values()]
"""Tokens with ids 0 to 5."""
SMALLEST_VOCABULARY = {"bytes": 256 + len(SPECIAL), "characters": len(SPECIAL) + 2}


class ScratchSettings(Settings):
    """A student's size and tokenizer."""

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
    """Layers of the encoder, and of the decoder."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate."""
    neighbours: bool = True
    """Start some heads off attending to neighbouring tokens (see `scratch.lean_on_neighbours`)."""

    @model_validator(mode="after")
    def _has_room_for_every_text(self) -> Self:
        smallest = SMALLEST_VOCABULARY[self.tokenizer]
        if self.vocabulary < smallest:
            raise ValueError(
                f"vocabulary: expected a whole number from {smallest:,} to 1,000,000 with the "
                f"tokenizer {self.tokenizer}, got {self.vocabulary}."
            )
        return self
