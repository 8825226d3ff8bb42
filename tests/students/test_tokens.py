"""Added tokens: text that comes back, rows that start where they should, ties that hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from smallsteps.students.student import Student
from smallsteps.students.tokens import add_tokens, check_round_trip, map_characters, prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
CODE = ["a {b} <c> ~ \\ d\n\ne  f", "{", "so 3 < 4", "He has\n3 pens", "a   b { c }  d", "<es> 3"]


def test_text_that_a_unigram_tokenizer_loses_is_found(tiny: Tiny) -> None:
    found = check_round_trip(tiny("t5"), [*CODE, "He has 3 pens"])
    assert (found.texts, found.lost) == (7, 6)
    assert {"{", "}", "<", "~", "\\", "\n", " "} <= set(found.characters)
    assert found.example is not None and found.example[0] == CODE[0]
    assert "H" in found.characters or "e" not in found.characters


@pytest.mark.parametrize("style", ["bart", "t5gemma", "t5gemma2", "llama", "qwen"])
def test_byte_level_tokenizers_lose_nothing(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    rows = len(student.tokenizer)
    prepare(student, TASK, path="direct", texts=CODE)
    assert len(student.tokenizer) == rows


def test_mapped_text_comes_back_and_other_ids_stay(tiny: Tiny) -> None:
    student = prepare(tiny("t5"), TASK, path="direct")
    before = student.encode("Ann has 3 boxes")
    assert map_characters(student, CODE).lost == 0
    for text in [*CODE, "{ {  {", "}\n}", "s  {  o"]:
        assert student.text(student.encode(text)) == text
    assert student.encode("Ann has 3 boxes") == before


def test_what_cannot_be_mapped_is_warned_of(tiny: Tiny) -> None:
    many = "".join(chr(0x4E00 + n) for n in range(200))
    with pytest.warns(UserWarning, match="1 of 1 texts do not come back"):
        prepare(tiny("t5"), TASK, path="direct", texts=[many])


@pytest.mark.parametrize("style", ["t5", "t5-scaled", "llama", "qwen"])
def test_new_rows_start_as_ordinary_ones_and_ties_stay_as_they_were(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    model = student.model
    embedding, head = (
        table.weight.detach().clone() for table in (model.get_input_embeddings(), model.lm_head)
    )
    tied = model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    new = add_tokens(student, ["<es>", "<as>"], seed=3)
    assert add_tokens(student, ["<es>", "<as>"]) == new
    old = len(embedding)
    assert model.get_input_embeddings().weight.shape[0] == old + 2 == model.lm_head.weight.shape[0]
    assert torch.equal(model.get_input_embeddings().weight[:old], embedding)
    assert torch.equal(model.lm_head.weight[:old], head), (
        "an untied head must not be tied by the resize"
    )
    assert (
        model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    ) == tied
    for table, before in (
        (model.get_input_embeddings().weight, embedding),
        (model.lm_head.weight, head),
    ):
        drawn = (table[new] - before.mean(0)) / before.std(0)
        assert 0.7 < drawn.std() < 1.3 and drawn.abs().max() < 5
        assert abs(torch.corrcoef(drawn)[0, 1]) < 0.5, "<es> and <as> must differ from the start"
    again = tiny(style)
    add_tokens(again, ["<es>", "<as>"], seed=3)
    assert torch.equal(
        again.model.get_input_embeddings().weight, model.get_input_embeddings().weight
    )


@pytest.mark.parametrize("style", ["t5", "llama", "qwen"])
def test_a_new_token_can_be_the_likeliest_before_its_row_has_moved(tiny: Tiny, style: str) -> None:
    # the logit of a row that starts at the mean of all rows is the mean of all logits: never more
    # likely than one in the vocabulary's size
    student = tiny(style, talkative=1.0)
    for token in add_tokens(student, ["<es>", "<as>"]):
        head = student.model.lm_head.weight.detach()
        wanting = head[token] - head.mean(0)
        assert (head @ wanting).argmax() == token


def test_rows_that_a_model_has_to_spare_are_used(tiny: Tiny) -> None:
    student = tiny("t5")
    student.model.resize_token_embeddings(128, mean_resizing=False)
    add_tokens(student, ["<STOP>"])
    assert student.model.get_input_embeddings().weight.shape[0] == 128
