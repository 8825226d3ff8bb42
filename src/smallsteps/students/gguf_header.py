"""The header of a GGUF file: what it states about its model, and whether it is whole.

GGUF is the format of llama.cpp: one file with metadata, tokenizer and (usually quantised) weights.
Only the header is read here, so that a wrong file is refused in milliseconds and by its reason;
transformers reads the weights (`gguf_conversion.py`). Layout: magic, version, number of tensors,
number of metadata entries, the entries, one description for each tensor, then the tensors. Numbers
are little-endian. Source: the GGUF specification of ggml."""

from __future__ import annotations

import os
import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from smallsteps.errors import StudentError

MAGIC = b"GGUF"
ENDING = ".gguf"
VERSIONS = (2, 3)
"""Version 1 counted in 32 bits; no file of today has it."""

STRING, ARRAY = 8, 9
NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Type of a metadata value → its code in `struct`."""

ALIGNMENT = 32
"""The tensors begin at a multiple of this many bytes, unless `general.alignment` says otherwise."""


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies."""

    name: str
    elements: int
    kind: int
    """ggml's number of its type: 0 float32, 3 Q4_1, ..."""
    offset: int
    """Bytes from the first tensor."""


@dataclass(frozen=True)
class GgufHeader:
    """What comes before the weights."""

    metadata: Mapping[str, Any]
    """Key → value; of an array its number of elements, unless its elements were asked for."""
    tensors: tuple[Tensor, ...]
    start: int
    """Bytes from the beginning of the file to the first tensor."""

    @property
    def architecture(self) -> str:
        """llama, qwen2, t5, ...; empty where the file does not say."""
        return str(self.metadata.get("general.architecture", ""))

    def size(self, block_sizes: Mapping[int, tuple[int, int]]) -> int:
        """Bytes of the whole file, without padding at its end. block_sizes: type of a tensor →
        (elements of a block, bytes of a block). Raises KeyError for an unknown type."""
        ends = [self.start]
        for tensor in self.tensors:
            elements, size = block_sizes[tensor.kind]
            ends.append(self.start + tensor.offset + tensor.elements // elements * size)
        return max(ends)


def is_gguf(path: Path) -> bool:
    """Whether a path is a GGUF file, by its ending or by its first bytes; False where it is no
    file."""
    try:
        if not path.is_file():
            return False
        if path.suffix.lower() == ENDING:
            return True
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):  # unreadable, or no possible path
        return False


def read_header(path: Path, label: str, arrays: Container[str] = ()) -> GgufHeader:
    """The header of a file. label: its name in messages. arrays: keys whose elements are wanted.

    Raises StudentError where the file cannot be read, is no GGUF file, has another version, or ends
    within its header."""
    try:
        with path.open("rb") as file:
            return _Reader(file, label, arrays).header()
    except OSError as error:
        raise StudentError(f"{label}: cannot be read ({error.strerror}).") from None
    except EOFError:
        raise StudentError(
            f"{label}: the file is cut off within its header. Download it again."
        ) from None
    except (ValueError, KeyError):  # no UTF-8, an impossible number or type
        raise StudentError(f"{label}: its GGUF header is damaged. Download it again.") from None


class _Reader:
    """Reads a header from front to back. Raises EOFError where the file ends too early."""

    def __init__(self, file: BinaryIO, label: str, arrays: Container[str]) -> None:
        self.file, self.label, self.arrays = file, label, arrays
        self.bytes = os.fstat(file.fileno()).st_size

    def header(self) -> GgufHeader:
        if self.file.read(len(MAGIC)) != MAGIC:
            raise StudentError(
                f"{self.label}: not a GGUF file: it does not begin with the letters GGUF. Name a "
                "GGUF file, a model folder, or a hub name (owner/model)."
            )
        version, tensors, entries = self.numbers("I", "Q", "Q")
        if version not in VERSIONS:
            raise StudentError(
                f"{self.label}: GGUF version {version} cannot be read, only versions 2 and 3 "
                "(little-endian). Download the model in a newer file."
            )
        metadata = {}
        for _ in range(entries):
            key = self.string()
            (kind,) = self.numbers("I")
            metadata[key] = self.value(kind, whole=key in self.arrays)
        described = tuple(self.tensor() for _ in range(tensors))
        alignment = int(metadata.get("general.alignment", ALIGNMENT)) or ALIGNMENT
        return GgufHeader(metadata, described, -(-self.file.tell() // alignment) * alignment)

    def tensor(self) -> Tensor:
        name = self.string()
        (dimensions,) = self.numbers("I")
        shape = struct.unpack(f"<{dimensions}Q", self.take(8 * dimensions))
        kind, offset = self.numbers("I", "Q")
        return Tensor(name, prod(shape), kind, offset)

    def value(self, kind: int, whole: bool) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.numbers(NUMBERS[kind])[0]
        element, count = self.numbers("I", "Q")
        if element == STRING and whole:
            return [self.string() for _ in range(count)]
        if element == STRING:
            for _ in range(count):
                self.take(*self.numbers("Q"))
            return count
        form = f"<{count}{NUMBERS[element]}"
        taken = self.take(struct.calcsize(form))
        return list(struct.unpack(form, taken)) if whole else count

    def string(self) -> str:
        return self.take(*self.numbers("Q")).decode()

    def numbers(self, *codes: str) -> tuple[Any, ...]:
        form = f"<{''.join(codes)}"
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def take(self, count: int) -> bytes:
        if count > self.bytes - self.file.tell():  # also before memory for it is taken
            raise EOFError
        return self.file.read(count)
