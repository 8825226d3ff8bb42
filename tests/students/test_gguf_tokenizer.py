"""Tokenizers of GGUF files: the tokens of the original, whole in tokenizer.json, split as the file
says."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import StudentError
from smallsteps.students.gguf_tokenizer import read_gguf_tokenizer
from smallsteps.students.pretrained import read_tokenizer
from tiny_gguf import tiny_llama, write_gguf

TEXT = "Tom sold 12 boxes for $2.50 a piece,\n\nthen 3  more: é 你好"


def test_tokens_are_those_of_the_original_before_and_after_saving(tmp_path: Path) -> None:
    original = tiny_llama().tokenizer
    entries = {"tokenizer.ggml.pre": "gpt-2"}
    read = read_gguf_tokenizer(write_gguf(tmp_path / "m.gguf", entries=entries), "m")
    read.save_pretrained(tmp_path / "saved")
    chat = "<|im_start|>user\nWhy?<|im_end|>"
    for tokenizer in (read, read_tokenizer(tmp_path / "saved")):
        for text in (TEXT, chat):
            assert tokenizer(text)["input_ids"] == original(text)["input_ids"]
        assert tokenizer.decode(tokenizer(TEXT)["input_ids"]) == TEXT
        assert tokenizer.special_tokens_map == original.special_tokens_map
        assert tokenizer.chat_template == original.chat_template
        assert len(tokenizer) == len(original), "no token of transformers' own comes in"


def test_digits_are_apart_where_the_file_says_smollm(tmp_path: Path) -> None:
    entries = {"tokenizer.ggml.pre": "gpt-2"}
    joined = read_gguf_tokenizer(write_gguf(tmp_path / "a.gguf", entries=entries), "a")
    apart = read_gguf_tokenizer(write_gguf(tmp_path / "b.gguf"), "b")
    assert joined.tokenize(" 12 pens") == ["Ġ12", "Ġpens"]
    assert apart.tokenize(" 12 pens") == ["Ġ", "1", "2", "Ġpens"]


def test_the_first_token_stands_before_every_text_where_the_file_says_so(tmp_path: Path) -> None:
    entries = {"tokenizer.ggml.bos_token_id": 1}
    silent = read_gguf_tokenizer(write_gguf(tmp_path / "a.gguf", entries=entries), "a")
    entries |= {"tokenizer.ggml.add_bos_token": True}
    adding = read_gguf_tokenizer(write_gguf(tmp_path / "b.gguf", entries=entries), "b")
    assert adding("pens")["input_ids"] == [1, *silent("pens")["input_ids"]]
    assert silent("pens")["input_ids"][0] != 1


def test_tokens_of_the_file_that_are_never_cut(tmp_path: Path) -> None:
    student = tiny_llama()
    student.tokenizer.add_tokens(["<think>"])
    student.model.resize_token_embeddings(len(student.tokenizer), mean_resizing=False)
    tokenizer = read_gguf_tokenizer(write_gguf(tmp_path / "m.gguf", student), "m")
    assert tokenizer.tokenize("Ann<think>") == [*tokenizer.tokenize("Ann"), "<think>"]


@pytest.mark.parametrize(("split", "known"), [("gpt-2", True), ("olmo", True), ("of-2031", False)])
def test_a_splitting_that_nobody_knows_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str, known: bool
) -> None:
    path = write_gguf(tmp_path / "m.gguf", entries={"tokenizer.ggml.pre": split})
    read_gguf_tokenizer(path, "m")
    said = capsys.readouterr().err
    assert ("m: how its tokenizer splits text ('of-2031') is not known" in said) == (not known)


def test_a_tokenizer_that_loses_text_is_refused(tmp_path: Path) -> None:
    # ½ stands for the second byte of 你
    path = write_gguf(tmp_path / "m.gguf", renamed={"½": "nothing"})
    with pytest.raises(StudentError, match=r"^m: its tokenizer turns 'Natalia .*你好.' into 'Nat"):
        read_gguf_tokenizer(path, "m")
