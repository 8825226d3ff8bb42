"""What is written for one choice, turn by turn. That chains are those of `solve` is tested in
`test_worker.py`."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.generation.generator import NO_CAP, Decoding, Reply
from smallsteps.serving.scripts import MAX_TEXT_TOKENS, ChainScript, TextScript
from tiny_serving import TASK, served
from tiny_solving import Tiny


def chain(tiny: Tiny, style: str, kind: str) -> ChainScript:
    student = served(tiny, style, kind)
    return ChainScript(
        student.student, TASK, student.settings, Decoding(), "How many?", 0, lambda: None
    )


@pytest.mark.parametrize(
    ("style", "kind", "by_segment"),
    [("t5", "direct", False), ("t5", "uni", True), ("llama", "uni", True), ("t5", "dual", True)],
)
def test_text_is_known_at_every_token_with_the_kind_of_its_segment(
    tiny: Tiny, style: str, kind: str, by_segment: bool
) -> None:
    script = chain(tiny, style, kind)
    turn = script.first()
    ids = script.writer(turn).encode("Ann has")
    kinds = {"direct": None, "uni": "ES" if style == "llama" else None, "dual": "ES"}
    assert script.by_segment is by_segment
    assert script.segments(turn, ids) == [(kinds[kind], "Ann has")]
    assert script.segments() == [] and script.stopped is None


def test_a_marker_of_a_causal_student_begins_the_next_segment(tiny: Tiny) -> None:
    script = chain(tiny, "llama", "uni")
    turn = script.first()
    student = script.writer(turn)
    ids = [*student.encode("Ann has"), student.marker("AS")]
    assert turn.request.stop is not None and not turn.request.stop(ids)
    assert script.segments(turn, [*ids, *student.encode("so")]) == [("ES", "Ann has"), ("AS", "so")]


def text(tiny: Tiny, style: str, prompt: list[int], limit: int, **decoding: int) -> TextScript:
    return TextScript(tiny(style), prompt, Decoding(**decoding), 2, limit)  # type: ignore[arg-type]


def test_a_text_goes_on_as_far_as_the_student_reads_and_keeps_its_white_space(tiny: Tiny) -> None:
    script = text(tiny, "llama", [5] * 250, 999, max_new_tokens=NO_CAP)
    turn = script.first()
    assert turn.request.max_new_tokens == 6 and turn.request.first_sample == 2
    script.following(Reply("r", 0, (5,), " pens ", "end", 2))
    assert script.segments() == [(None, " pens ")] and script.stopped == "end"


def test_an_encoder_decoder_without_a_limit_is_given_one(tiny: Tiny) -> None:
    script = text(tiny, "t5", [5] * 9, 9, max_new_tokens=10**7)
    assert script.first().request.max_new_tokens == MAX_TEXT_TOKENS
    with pytest.raises(DataError, match="the prompt: needs 9 tokens, tiny-t5 reads 8"):
        text(tiny, "t5", [5] * 9, 8).first()
