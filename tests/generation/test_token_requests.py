"""Rows as requests to a server, and what it wrote as replies."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Decoding, Request
from smallsteps.generation.sampling import new_rows
from smallsteps.generation.token_calls import WrittenIds
from smallsteps.generation.token_requests import body_of, check_logprobs, reply_of, seed_of
from smallsteps.students.tokens import prepare
from tiny_solving import Tiny, a_task


def test_what_the_models_files_would_add_is_switched_off(tiny: Tiny) -> None:
    student = tiny("llama")
    (row,) = new_rows(Request("a", [5, 6], max_new_tokens=7, given=(8,)), student, Decoding())
    body = body_of(row, Decoding(), "student")
    assert body["prompt"] == [5, 6, 8] and body["max_tokens"] == 6
    assert body["ignore_eos"] and body["stop_token_ids"] == sorted(student.end_ids)
    assert (body["repetition_penalty"], body["min_p"], "logprobs" in body) == (1.0, 0.0, False)
    assert 0 <= seed_of(row) < 2**63


def test_no_reply_is_longer_than_the_student(tiny: Tiny) -> None:
    (row,) = new_rows(Request("a", [5] * 10), tiny("llama"), Decoding(max_new_tokens=50))
    assert body_of(row, Decoding(), "m", 40)["max_tokens"] == 30
    assert body_of(row, Decoding(), "m", 90)["max_tokens"] == 50


def test_a_half_of_a_pair_ends_at_the_other_ones_marker(tiny: Tiny) -> None:
    student = prepare(tiny("llama"), a_task(), path="uni")
    markers = set(student.markers.values())
    request = Request("a", [5], stop=lambda ids: ids[-1] in markers, stop_ids=markers)
    (row,) = new_rows(request, student, Decoding())
    assert set(body_of(row, Decoding(), "m")["stop_token_ids"]) == markers | student.end_ids


def test_draws_have_seeds_of_the_seed_the_request_and_the_sample(tiny: Tiny) -> None:
    student = tiny("llama")
    rows = [
        *new_rows(Request("a", [5], 2), student, Decoding(seed=1)),
        *new_rows(Request("b", [5]), student, Decoding(seed=1)),
        *new_rows(Request("a", [5]), student, Decoding(seed=2)),
    ]
    assert len({seed_of(row) for row in rows}) == 4
    (same,) = new_rows(Request("c", [6], draws_as="b"), student, Decoding(seed=1))
    assert seed_of(same) == seed_of(rows[2])


@pytest.mark.parametrize(
    ("ids", "cut", "finished", "kept"),
    [
        ((7, 9), False, "end", (5, 7)),
        ((7, 8), True, "limit", (5, 7, 8)),
        ((7, 6), False, "stop", (5, 7, 6)),
    ],
)
def test_a_reply_ends_as_the_row_would(
    tiny: Tiny, ids: tuple[int, ...], cut: bool, finished: str, kept: tuple[int, ...]
) -> None:
    student = tiny("llama")
    request = Request("a", [4], stop=lambda written: written[-1] == 6, stop_ids={6}, given=(5,))
    (row,) = new_rows(request, student, Decoding())
    row.ends = frozenset({9})
    reply = reply_of(row, WrittenIds(ids, cut), student)
    assert (reply.finished, reply.ids, reply.tokens) == (finished, kept, 3)


def test_log_probabilities_are_those_that_tokens_are_drawn_from_or_none() -> None:
    check_logprobs(Decoding(temperature=0.7))
    for temperature in (0, 1):
        check_logprobs(Decoding(temperature=temperature, logprobs=True))
    for other in ({"temperature": 0.7}, {"temperature": 1, "top_k": 5}, {"top_p": 0.9}):
        with pytest.raises(RecipeError, match=r"no log-probabilities for .*Use engine local"):
            check_logprobs(Decoding(**other, logprobs=True))  # type: ignore[arg-type]
