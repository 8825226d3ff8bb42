from __future__ import annotations

import pytest

from smallsteps.tasks.thoughts import split_thought


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("So 3 + 4 = 7.", (None, "So 3 + 4 = 7.", True)),
        ("", (None, "", True)),
        ("<think>\nPerhaps 9.\n</think>\n\nIt is 7.", ("Perhaps 9.", "It is 7.", True)),
        ("<think>\n\n</think>\n\nIt is 7.", (None, "It is 7.", True)),
        ("Perhaps 9.\n</think>\nIt is 7.", ("Perhaps 9.", "It is 7.", True)),
        ("<think>Perhaps 9", ("Perhaps 9", "", False)),
        ("<think>", (None, "", False)),
        ("<think>Perhaps 9.</think>", ("Perhaps 9.", "", True)),
        ("<think>a</think>b<think>c</think>d", ("a\n\nc", "b\n\nd", True)),
        ("<think>a <think> b</think>c", ("a\n\nb", "c", True)),
        ("<think>a</think>b</think>c", ("a\n\nb", "c", True)),
        ("It is 7. <think>Or", ("Or", "It is 7.", False)),
        ("<THINKING>a</THINKING>b", ("a", "b", True)),
        ("<thought>a</thought>b", ("a", "b", True)),
        ("[THINK]a[/THINK]b", ("a", "b", True)),
        ("◁think▷a◁/think▷b", ("a", "b", True)),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            ("a", "b", True),
        ),
        ("<|begin_of_thought|>a<|end_of_thought|>b", ("a", "b", True)),
        ('<think duration="3">a</think>b', ("a", "b", True)),
        ("He was thinking <b>hard</b>", (None, "He was thinking <b>hard</b>", True)),
        ("I think > 3 and x < think", (None, "I think > 3 and x < think", True)),
    ],
)
def test_a_thought_is_split_off_in_every_form_that_models_write(
    text: str, parts: tuple[str | None, str, bool]
) -> None:
    assert split_thought(text) == parts


def test_a_long_text_of_marks_takes_linear_time() -> None:
    assert split_thought("<think>" * 50_000 + "<" * 50_000) == ("<" * 50_000, "", False)
