"""GGUF files become ordinary folders: the same model, tokenizer and template, once for each file;
what cannot be a student is refused in one line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from smallsteps.cli.main import main
from smallsteps.errors import StudentError
from smallsteps.students import gguf_conversion
from smallsteps.students.gguf_conversion import converted
from smallsteps.students.loading import load_student
from tiny_gguf import QUANTISED, tiny_llama, write_gguf

TEXT = "Ann has 12 pens.\n\nShe gives away 5, é and 你好."


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSTEPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_holds_the_same_model_template_and_tokens(tmp_path: Path) -> None:
    original = tiny_llama()
    student = load_student(write_gguf(tmp_path / "tiny.gguf", original), device="cpu")
    ids = original.encode(TEXT)
    batch = torch.tensor([ids])
    with torch.inference_mode():
        assert torch.equal(student.model(batch).logits, original.model(batch).logits)
    assert student.text(student.encode(TEXT)) == TEXT
    assert student.tokenizer.chat_template == original.tokenizer.chat_template
    assert student.chat_ids([("user", "Why?")]) == original.chat_ids([("user", "Why?")])
    assert student.end_ids == original.end_ids
    assert student.max_source_tokens == 256
    # the file names no first token; the class of its configuration would say 1
    assert student.model.config.bos_token_id is None


def test_the_folder_is_an_ordinary_one_in_bfloat16(tmp_path: Path, cache: Path) -> None:
    folder = converted(write_gguf(tmp_path / "tiny.gguf", kind=QUANTISED.Q4_1), "m")
    assert folder.parent == cache / "models"
    assert AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(folder).chat_template
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert json.loads((folder / "gguf.json").read_text())["file"] == "tiny.gguf"
    assert not list(folder.glob("*.py")) and list(folder.glob("*.safetensors"))


def test_quantised_weights_are_near_the_original(tmp_path: Path) -> None:
    original = tiny_llama()
    path = write_gguf(tmp_path / "tiny.gguf", original, kind=QUANTISED.Q8_0)
    weights = dict(load_student(path, device="cpu").model.named_parameters())
    for name, weight in original.model.named_parameters():
        assert torch.allclose(weights[name], weight, atol=0.01), name


def test_every_end_of_turn_ends_a_reply(tmp_path: Path) -> None:
    entries = {"tokenizer.ggml.eot_token_id": 0}
    student = load_student(write_gguf(tmp_path / "tiny.gguf", entries=entries), device="cpu")
    assert student.end_ids == {0, student.tokenizer.eos_token_id}
    assert student.end_id == student.tokenizer.eos_token_id


def test_a_sentencepiece_vocabulary_is_read_as_well(tmp_path: Path) -> None:
    student = load_student(
        write_gguf(tmp_path / "tiny.gguf", tokenizer="sentencepiece"), device="cpu"
    )
    assert student.tokenizer.convert_ids_to_tokens(student.encode("pens")) == ["▁pens"]
    assert student.text(student.encode(TEXT)) == TEXT
    assert student.source_head == [1] and student.end_ids == {2}
    assert student.tokenizer.chat_template is None


def test_a_file_is_converted_once_whatever_its_name(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_gguf(tmp_path / "tiny.gguf")
    second = first.with_name("renamed")  # known by its content
    second.write_bytes(first.read_bytes())
    load_student(first, device="cpu")
    said = capsys.readouterr()
    assert said.err == f"{first}: converting it once, for the cache {cache / 'models'}\n"
    assert load_student(second, device="cpu").name == str(second)
    assert capsys.readouterr().err == ""
    other = write_gguf(tmp_path / "other.gguf", tiny_llama(seed=1))
    assert converted(other, "m") != converted(first, "m")


# ---- bad input ----


def refusal(path: Path) -> str:
    """The message with which a file is refused: one line."""
    with pytest.raises(StudentError) as refused:
        load_student(path, device="cpu")
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)
    return str(refused.value)


def test_weights_that_are_cut_off_are_noticed_before_anything_is_converted(
    tmp_path: Path, cache: Path
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes()[:-1000])
    assert "the file is cut off: expected " in refusal(path)
    assert not list((cache / "models").glob("gguf-*"))


def test_an_architecture_that_transformers_does_not_know_is_named(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", architecture="rwkv6")
    message = refusal(path)
    assert "transformers cannot read the architecture of this GGUF file (rwkv6): " in message
    assert message.endswith("Name the model's folder in Hugging Face's format.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": None}, "the file has no tokenizer (tokenizer.ggml.tokens)"),
        ({"entries": {"general.type": "adapter"}}, "expected a whole model, got 'adapter'"),
        ({"entries": {"split.count": 3}}, "one of 3 parts. Join them first"),
        ({"leave_out": "layers.1"}, "the file lacks weights, such as ['model.layers.1."),
        (
            {"entries": {"tokenizer.ggml.model": "bert"}},
            "transformers cannot read the tokenizer of this GGUF file (llama): ",
        ),
    ],
)
def test_what_is_no_whole_model_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert message in refusal(write_gguf(tmp_path / "tiny.gguf", **changes))


def test_a_type_of_weights_that_gguf_does_not_know_says_what_to_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", kind=QUANTISED.Q8_0)
    known = dict(gguf_conversion.block_sizes())
    del known[int(QUANTISED.Q8_0)]
    monkeypatch.setattr(gguf_conversion, "block_sizes", lambda: known)
    assert "its weights have type 8, which the installed gguf does not know" in refusal(path)


def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "gguf" else find(name)
    )
    assert refusal(path).endswith("needs the package gguf. Type: pip install gguf")


def test_text_that_is_called_gguf_and_folders_that_hold_gguf_say_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m").mkdir()
    path = tmp_path / "m" / "text.gguf"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "not a GGUF file: it does not begin with the letters GGUF" in refusal(path)
    with pytest.raises(StudentError, match=rf"a folder with a GGUF file\. Name the file: {path}"):
        load_student(path.parent)
    assert main(["solve", str(path), "How many?", "--task", "numbers"]) == 2
    said = capsys.readouterr().err
    assert "not a GGUF file" in said and "Traceback" not in said
