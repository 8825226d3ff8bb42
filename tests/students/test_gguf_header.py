"""GGUF headers: what a file holds, the size that it should have, and every way to be damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf.constants import GGML_QUANT_SIZES

from smallsteps.errors import StudentError
from smallsteps.students.gguf_header import is_gguf, read_header
from tiny_gguf import QUANTISED, write_gguf

SIZES = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", kind=QUANTISED.Q4_1)


def test_a_header_says_what_the_file_holds(whole: Path) -> None:
    header = read_header(whole, "m")
    assert header.architecture == "llama"
    assert header.metadata["llama.block_count"] == 2
    assert header.metadata["tokenizer.ggml.tokens"] == 340, "arrays are counted, not read"
    assert {tensor.name for tensor in header.tensors} >= {
        "token_embd.weight",
        "blk.1.attn_q.weight",
    }
    # padding may follow the last tensor, never more than an alignment
    assert 0 <= whole.stat().st_size - header.size(SIZES) < 32


def test_a_header_that_is_cut_off_anywhere_says_so(whole: Path, tmp_path: Path) -> None:
    content, end = whole.read_bytes(), read_header(whole, "m").start
    for length in (4, 10, 24, 30, 1000, end // 2, end - 40):
        (tmp_path / "cut.gguf").write_bytes(content[:length])
        with pytest.raises(StudentError, match=r"^m: the file is cut off within its header"):
            read_header(tmp_path / "cut.gguf", "m")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^m: not a GGUF file: it does not begin with the letters GGUF"),
        (b"version https://git-lfs", r"^m: not a GGUF file"),
        (b"GGUF" + (1).to_bytes(4, "little") + bytes(16), r"^m: GGUF version 1 cannot be read"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(16), r"^m: GGUF version 50331648 cannot"),
        # one entry whose key is not text, one whose type is unknown
        (
            b"GGUF"
            + (3).to_bytes(4, "little")
            + bytes(8)
            + (1).to_bytes(8, "little")
            + (1).to_bytes(8, "little")
            + b"\xff"
            + bytes(8),
            r"^m: its GGUF header is damaged",
        ),
        (
            b"GGUF"
            + (3).to_bytes(4, "little")
            + bytes(8)
            + (1).to_bytes(8, "little")
            + (1).to_bytes(8, "little")
            + b"k"
            + (99).to_bytes(4, "little")
            + bytes(8),
            r"^m: its GGUF header is damaged",
        ),
    ],
)
def test_what_is_no_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(StudentError, match=message):
        read_header(tmp_path / "m.gguf", "m")


def test_a_length_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    huge = (1 << 62).to_bytes(8, "little")
    head = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little")
    (tmp_path / "m.gguf").write_bytes(head + huge + b"key")
    with pytest.raises(StudentError, match="cut off"):
        read_header(tmp_path / "m.gguf", "m")


def test_a_gguf_file_is_known_by_its_ending_or_its_first_bytes(whole: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "model"
    renamed.write_bytes(whole.read_bytes())
    (tmp_path / "empty.GGUF").touch()
    (tmp_path / "text").write_text("GGU")
    assert is_gguf(renamed) and is_gguf(tmp_path / "empty.GGUF")
    assert not is_gguf(tmp_path / "text") and not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "nowhere.gguf") and not is_gguf(Path("a\0b"))
