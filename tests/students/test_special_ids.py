"""Ends, starts and frames of real kinds of tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from smallsteps.errors import StudentError
from smallsteps.students.special_ids import (
    find_end_ids,
    find_frame,
    find_number_ids,
    find_start_id,
)
from smallsteps.students.student import Student
from smallsteps.students.tokens import add_tokens

Tiny = Callable[..., Student]


@pytest.mark.parametrize(
    ("style", "frame"),
    [
        ("t5", ([], [1])),
        ("bart", ([0], [2])),
        ("t5gemma", ([2], [])),
        ("t5gemma2", ([2], [])),
        ("llama", ([0], [])),
        ("qwen", ([], [])),
    ],
)
def test_the_frame_is_what_stands_around_every_text(
    tiny: Tiny, style: str, frame: tuple[list[int], list[int]]
) -> None:
    assert find_frame(tiny(style).tokenizer) == frame


def test_generation_stops_at_every_end_and_targets_end_in_the_tokenizers(tiny: Tiny) -> None:
    student = tiny("llama")
    student.model.generation_config.eos_token_id = [7, 8]
    end, ends = find_end_ids(student.model, student.tokenizer, "m")
    assert end == student.tokenizer.eos_token_id and {7, 8, end} <= ends


def test_a_model_without_an_end_is_refused(tiny: Tiny) -> None:
    student = tiny("llama")
    student.tokenizer.eos_token = None
    student.model.config.eos_token_id = student.model.generation_config.eos_token_id = None
    with pytest.raises(StudentError, match=r"m: neither the tokenizer .*Set tokenizer\.eos_token"):
        find_end_ids(student.model, student.tokenizer, "m")


@pytest.mark.parametrize("style", ["t5gemma", "t5gemma2"])
def test_a_decoder_of_gemmas_starts_with_the_beginning_of_a_text(tiny: Tiny, style: str) -> None:
    model = tiny(style).model
    begins = model.prepare_decoder_input_ids_from_labels(torch.tensor([[5, 6]]))[0].tolist()
    assert find_start_id(model, "m") == begins[0] == model.config.decoder.bos_token_id == 2


def test_a_decoder_starts_with_the_pad_token_where_no_start_is_named(tiny: Tiny) -> None:
    model = tiny("t5").model
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    assert find_start_id(model, "m") == model.config.pad_token_id
    model.config.pad_token_id = None
    with pytest.raises(StudentError, match="names no decoder_start_token_id"):
        find_start_id(model, "m")


@pytest.mark.parametrize("style", ["t5", "qwen"])
def test_numbers_are_the_tokens_of_digits_alone(tiny: Tiny, style: str) -> None:
    tokenizer = tiny(style).tokenizer
    numbers = {tokenizer.decode([token]).strip() for token in find_number_ids(tokenizer)}
    assert {"3", "12"} <= numbers
    assert all(number.isdecimal() for number in numbers)


def test_a_student_counts_numbers_that_were_added_later(tiny: Tiny) -> None:
    student = tiny("t5")
    before = student.number_ids
    (new,) = add_tokens(student, ["8"])
    assert student.number_ids == before | {new}
