"""Thoughts and control tokens are taken out of replies, whatever the model's tags."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.tasks.clean import reply_text, without_control_tokens

TAGS = [
    "<think>",
    "</think>",
    "<thinking>",
    "<s>",
    "</s>",
    "<|im_end|>",
    "<|im_start|>user\n",
    "[INST]",
    "[/INST]",
    "<|channel|>analysis<|message|>",
    "<|channel|>final<|message|>",
    "<pad>",
    "◁think▷",
    "The answer is 7.",
    " ",
    "\n",
]


@pytest.mark.parametrize(
    ("text", "without", "count"),
    [
        ("So 3 < 4 and [5].", "So 3 < 4 and [5].", 0),
        ("Ann has 3.</s>", "Ann has 3.", 1),
        ("<s>[INST] Hi [/INST] Ann </s>", " Hi  Ann ", 4),
        ("7<|im_end|><|endoftext|>", "7", 2),
        ("7<｜end▁of▁sentence｜>", "7", 1),
        ("<pad><pad>7<eos>", "7", 3),
        ("<|start_header_id|>assistant<|end_header_id|>\n\n7<|eot_id|>", "7", 2),
        ("All done.<STOP>", "All done.<STOP>", 0),  # our own token
        ("<b>7</b> <a|b>", "<b>7</b> <a|b>", 0),
    ],
)
def test_control_tokens_are_taken_out_and_counted(text: str, without: str, count: int) -> None:
    assert without_control_tokens(text) == (without, count)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 7.",
        "The answer is 7.</s>",
        "The answer is 7.<|im_end|>\n<|endoftext|>",
        "The answer is 7.<|im_end|>\n<|im_start|>user\nAnd 8?",
        "The answer is 7.<|endoftext|>Question: 3 + 5? The answer is 8.",
        "The answer is 7.<end_of_turn>\n<start_of_turn>user\nNo.",
        "The answer is 7. [/INST]",
        "<s>[INST] How many? [/INST] The answer is 7.</s>",
        "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\nThe answer is 7.<|im_end|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\nThe answer is 7.<|eot_id|>",
        "<pad><pad> The answer is 7.</s><pad>",
        "<think>Perhaps 9.<|im_end|></think>The answer is 7.<eos>",
    ],
)
def test_a_reply_ends_with_its_turn(text: str) -> None:
    assert reply_text(text) == "The answer is 7."


def test_an_unfinished_thought_is_no_reply() -> None:
    assert reply_text("<think>maybe the answer is 9<|im_end|>") == ""


@given(st.one_of(st.text(), st.lists(st.sampled_from(TAGS)).map("".join)))
def test_no_text_breaks_the_cleaning(text: str) -> None:
    reply_text(text)
    assert without_control_tokens(without_control_tokens("a b")[0]) == ("a b", 0)


@pytest.mark.parametrize(
    "text",
    [
        "<",
        "<|im_end|>",
        ".</s>",
        "<think>",
        "</think>",
        "[INST]",
        "< think ",
        "<|im_start|>" + " " * 50,
        "a<s>",
    ],
)
def test_cleaning_takes_linear_time(text: str) -> None:
    start = time.perf_counter()
    reply_text(text * (200_000 // len(text)))
    assert time.perf_counter() - start < 2
