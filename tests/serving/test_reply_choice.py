"""A choice while it is written: the client's limits, and what is streamed."""

from __future__ import annotations

import pytest

from smallsteps.generation.generator import Decoding
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.reply_choice import Written, cut_segments
from tiny_serving import ALL, served, working
from tiny_solving import Tiny, problems

QUESTIONS = [problem.question for problem in problems(8)]


def decoding(limit: int = 100_000, logprobs: bool = False) -> Decoding:
    return Decoding(max_new_tokens=limit, logprobs=logprobs)


def write(
    tiny: Tiny, style: str, kind: str, how: Decoding, **options: object
) -> tuple[list[Written], list[str]]:
    student = served(tiny, style, kind)
    with working(student) as collector:
        makers = [student.question_script(question, how, 0) for question in QUESTIONS]
        return collector.write(student.id, makers, how, **options)


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_a_stop_text_ends_the_reply_and_neither_it_nor_its_beginning_is_streamed(
    tiny: Tiny, style: str, kind: str
) -> None:
    whole, _ = write(tiny, style, kind, decoding())
    text = max((choice.text for choice in whole), key=len)
    stop = text[len(text) // 2 :][:3]
    cut, streamed = write(tiny, style, kind, decoding(), stops=(stop,))
    assert any(stop in choice.text for choice in whole)
    for before, after, pieces in zip(whole, cut, streamed, strict=True):
        assert after.text == before.text.split(stop)[0].rstrip() == pieces
        if stop in before.text:
            assert (after.finish, after.stopped) == ("stop", None)
            assert after.tokens <= before.tokens
        joined = "".join("".join(text.split()) for _, text in after.segments)
        assert joined == "".join(after.text.split())


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_a_limit_of_tokens_counts_over_all_segments(tiny: Tiny, style: str, kind: str) -> None:
    whole, _ = write(tiny, style, kind, decoding())
    cut, streamed = write(tiny, style, kind, decoding(3))
    assert any(choice.tokens > 3 for choice in whole)
    for before, after, pieces in zip(whole, cut, streamed, strict=True):
        assert after.tokens == min(3, before.tokens)
        assert before.text.startswith(after.text) and after.text == pieces
        if before.tokens > 3:
            assert after.finish == "length"


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_the_tokens_with_log_probabilities_spell_the_reply(
    tiny: Tiny, style: str, kind: str
) -> None:
    written, _ = write(tiny, style, kind, decoding(logprobs=True))
    for choice in written:
        assert "".join(token.text for token in choice.logprobs) == choice.text
        assert all(token.logprob <= 0 for token in choice.logprobs)
    assert any(choice.logprobs for choice in written)
    silent, _ = write(tiny, style, kind, decoding())
    assert not any(choice.logprobs for choice in silent)


def test_a_prompt_that_is_too_long_is_an_error_with_a_code(tiny: Tiny) -> None:
    student = served(tiny, "llama", "direct")
    with working(student) as collector, pytest.raises(ApiError, match="reads 256") as refused:
        maker = student.question_script("pens " * 300, decoding(), 0)
        collector.write(student.id, [maker], decoding())
    assert (refused.value.status, refused.value.code) == (400, "context_length_exceeded")


def test_segments_are_cut_where_the_text_ends() -> None:
    segments = [("ES", "Ann has 3."), ("AS", "So 7."), ("ES", "Yes.")]
    assert cut_segments(segments, "Ann has 3. So", " ".join) == [  # type: ignore[arg-type]
        ("ES", "Ann has 3."),
        ("AS", "So"),
    ]
    assert cut_segments(segments, "", " ".join) == []  # type: ignore[arg-type]
