"""The batch of a causal student: entering, leaving, and coming back with a cache."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import InternalError
from smallsteps.generation import causal
from smallsteps.generation.causal import unread
from smallsteps.generation.causal_cache import RowCache
from smallsteps.generation.generator import Decoding, EngineSettings, Reply, Request
from smallsteps.generation.local import LocalEngine
from smallsteps.generation.sampling import ReplyRow
from smallsteps.students.student import Student
from tiny_solving import Tiny, a_task, problems

TASK = a_task()


def requests(student: Student, limits: list[int]) -> list[Request]:
    return [
        Request(p.id, student.source_ids(TASK, p.question), max_new_tokens=limit)
        for p, limit in zip(problems(len(limits)), limits, strict=True)
    ]


def written(student: Student, wanted: list[Request], batch_size: int = 4) -> dict[str, Reply]:
    engine = LocalEngine(student, EngineSettings(batch_size=batch_size))
    return {reply.id: reply for reply in engine.generate(wanted, Decoding())}


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_replies_do_not_depend_on_who_else_is_in_the_batch(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    wanted = requests(student, [1, 30, 2, 12, 25, 3, 18])
    alone = written(student, wanted, 1)
    for batch_size in (2, 3, 7):
        assert written(student, wanted, batch_size) == alone


def test_prompts_that_fill_a_pass_are_read_in_several(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("llama")
    wanted = requests(student, [6] * 5)
    together = written(student, wanted)
    monkeypatch.setattr(causal, "PREFILL_TOKENS", 1)
    assert written(student, wanted) == together


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_a_reply_that_goes_on_from_its_cache_is_the_one_that_reads_all_anew(
    tiny: Tiny, style: str
) -> None:
    student = tiny(style)
    wanted = [replace(request, keep_cache=True) for request in requests(student, [7, 4, 9])]
    firsts = written(student, wanted)
    more = student.encode(" so she had 12 pens")
    cached, anew = [], []
    for request in wanted:
        reply = firsts[request.id]
        assert reply.cache is not None
        assert reply.cache.length == len(request.prompt) + reply.tokens - 1, (
            "the last token that was written is not read yet"
        )
        prompt = (*request.prompt, *reply.ids, *more)
        anew.append(Request(request.id, prompt, max_new_tokens=12))
        cached.append(replace(anew[-1], cache=reply.cache))
    assert written(student, cached) == written(student, anew)


def test_rows_with_and_without_a_cache_enter_together(tiny: Tiny) -> None:
    student = tiny("llama")
    first, second = requests(student, [5, 5])
    reply = written(student, [replace(first, keep_cache=True)])[first.id]
    prompt = (*first.prompt, *reply.ids, *student.encode(" left"))
    goes_on = Request("goes on", prompt, max_new_tokens=8, cache=reply.cache)
    anew = replace(goes_on, cache=None)
    together = written(student, [goes_on, second])
    assert together == {**written(student, [anew]), **written(student, [second])}


def test_a_cache_is_handed_back_only_where_it_was_asked_for(tiny: Tiny) -> None:
    student = tiny("llama")
    (plain,) = written(student, requests(student, [1])).values()
    assert plain.cache is None
    kept = written(student, [replace(requests(student, [1])[0], keep_cache=True)])
    (reply,) = kept.values()
    assert reply.cache is not None, "of a reply that ends with its first token as well"


def test_a_cache_holds_the_head_of_the_prompt() -> None:
    cache = RowCache((), 2)
    with_cache = ReplyRow(Request("a", [], cache=cache), 0, (5, 6, 7), 9, frozenset(), 0)
    assert unread(with_cache) == (7,)
    assert unread(replace(with_cache, request=Request("a", []))) == (5, 6, 7)


def test_the_cache_of_another_engine_is_refused() -> None:
    class Other:
        length = 1

    row = ReplyRow(Request("a", [], cache=Other()), 0, (5, 6), 9, frozenset(), 0)
    with pytest.raises(InternalError, match="a: the cache of another engine"):
        unread(row)
