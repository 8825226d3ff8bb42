"""Entropies of the tokens of what a student wrote."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Kind
from smallsteps.serving.entropies import entropies
from smallsteps.students.scores import token_scores
from tiny_serving import TASK, served
from tiny_solving import Tiny

SEGMENTS: list[tuple[Kind | None, str]] = [("ES", "Ann has 3 boxes."), ("AS", "So 12 pens.")]


@pytest.mark.parametrize(
    ("style", "kind"), [("t5", "uni"), ("t5", "dual"), ("llama", "direct"), ("llama", "text")]
)
def test_tokens_joined_are_the_segments(tiny: Tiny, style: str, kind: str) -> None:
    scored = entropies(served(tiny, style, kind), "How many?", SEGMENTS)
    assert ["".join(token.text for token in part) for part in scored] == [
        text for _, text in SEGMENTS
    ]
    assert all(any(token.entropy is not None for token in part) for part in scored)


def test_each_segment_of_a_pair_is_scored_by_the_half_that_writes_its_kind(tiny: Tiny) -> None:
    student = served(tiny, "t5", "dual")
    text = "Ann has 3 boxes. So 12 pens."
    halves = {
        kind: token_scores(half, TASK, [("How many?", text)])[0]
        for kind, half in student.halves.items()
    }
    assert halves["ES"].entropy != halves["AS"].entropy
    border = len("Ann has 3 boxes.")

    def shown(kind: Kind, start: int, end: int) -> list[float]:
        score = halves[kind]
        pairs = zip(score.spans, score.entropy, strict=True)
        return [entropy for (a, b), entropy in pairs if start <= a < b <= end]

    first, second = (
        [token.entropy for token in part if token.entropy is not None]
        for part in entropies(student, "How many?", SEGMENTS)
    )
    assert set(first) <= set(shown("ES", 0, border)) and max(first) == max(shown("ES", 0, border))
    assert set(second) <= set(shown("AS", border, len(text)))
    assert not set(first) & set(shown("AS", 0, border))


def test_a_text_longer_than_the_student_reads_is_refused(tiny: Tiny) -> None:
    with pytest.raises(DataError, match="reads 256"):
        entropies(served(tiny, "llama", "direct"), "How many?", [(None, "pens " * 300)])
