"""The batch of a causal student: entering, leaving, and coming back with a cache."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import InternalError
from smallsteps.generation import causal, causal_models, local
from smallsteps.generation.causal import CausalSession
from smallsteps.generation.causal_cache import SPARE_COLUMNS
from smallsteps.generation.generator import Decoding, EngineSettings, Reply, Request, run_session
from smallsteps.generation.local import LocalEngine
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


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_replies_do_not_depend_on_who_else_is_in_the_batch(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    wanted = requests(student, [1, 30, 2, 12, 25, 3, 18])
    alone = written(student, wanted, 1)
    for batch_size in (2, 3, 7):
        assert written(student, wanted, batch_size) == alone


@pytest.fixture(params=[True, False], ids=["fused", "modules"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student's passes are the fast ones of a CPU, or those of transformers' modules."""
    if not request.param:
        monkeypatch.setattr(local, "runs_fast", lambda model: False)


@pytest.mark.usefixtures("either_way")
def test_prompts_that_fill_a_pass_are_read_in_several(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("llama")
    wanted = requests(student, [6] * 5)
    together = written(student, wanted)
    monkeypatch.setattr(causal_models.ModuleModel, "read_tokens", 1)
    monkeypatch.setattr(causal_models.FusedModel, "read_tokens", 1)
    assert written(student, wanted) == together


def reads(student: Student, wanted: list[Request]) -> tuple[list[int], dict[str, Reply]]:
    """Tokens of each source that is read, and the replies."""
    session = LocalEngine(student, EngineSettings(batch_size=4)).session(Decoding())
    assert isinstance(session, CausalSession)
    read, lengths = session.model.read, []

    def counting(sources, caches):  # type: ignore[no-untyped-def]
        lengths.extend(len(source) for source in sources)
        return read(sources, caches)

    session.model.read = counting  # type: ignore[method-assign]
    return lengths, {f"{r.id} {r.sample}": r for r in run_session(session, wanted)}


@pytest.mark.usefixtures("either_way")
def test_what_most_prompts_begin_with_is_read_once(tiny: Tiny) -> None:
    student = tiny("qwen")
    head = student.encode("Ann has 3 boxes with 4 pens each, so she has 3 x 4 = 12 pens. ") * 2
    tails = [student.encode(text) for text in ("Tom sold 2", "She ate 5", "Ann", "so", "away 16")]
    wanted = [Request(str(n), [*head, *tail], max_new_tokens=9) for n, tail in enumerate(tails)] + [
        Request("other", student.encode("How many are left?"), max_new_tokens=9)
    ]
    lengths, replies = reads(student, wanted)
    assert lengths[0] == len(head)
    assert sorted(lengths[1:]) == sorted([*map(len, tails), len(wanted[-1].prompt)])
    alone = {key: reply for r in wanted for key, reply in reads(student, [r])[1].items()}
    assert replies == alone


@pytest.mark.usefixtures("either_way")
def test_fewer_rows_are_under_way_where_their_caches_would_fill_the_memory(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("llama", talkative=0.0)  # never ends by itself
    wanted = requests(student, [9, 4, 12, 7, 5])
    token_bytes = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, d, float32
    columns = max(len(request.prompt) for request in wanted) + 12 + SPARE_COLUMNS
    monkeypatch.setattr(causal_models.ModuleModel, "read_tokens", 1)  # rows enter one by one
    monkeypatch.setattr(causal_models.FusedModel, "read_tokens", 1)
    monkeypatch.setattr(causal, "CACHE_BYTES", 2 * columns * token_bytes)
    session = LocalEngine(student, EngineSettings(batch_size=5)).session(Decoding())
    assert isinstance(session, CausalSession)
    for request in wanted:
        session.submit(request)
    replies, most = {}, 0
    while not session.idle:
        replies |= {reply.id: reply for reply in session.step()}
        most = max(most, len(session.rows))
    assert most == 2
    assert replies == written(student, wanted, 1)


@pytest.mark.usefixtures("either_way")
def test_the_prompt_of_several_samples_is_read_once(tiny: Tiny) -> None:
    student = tiny("llama")
    (single,) = requests(student, [8])
    lengths, replies = reads(student, [replace(single, samples=3)])
    assert lengths == [len(single.prompt)] and len(replies) == 3
    assert len({reply.ids for reply in replies.values()}) == 1, "greedy"


@pytest.mark.usefixtures("either_way")
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


@pytest.mark.usefixtures("either_way")
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


def test_the_cache_of_another_engine_is_refused(tiny: Tiny) -> None:
    class Other:
        length = 1

    student = tiny("llama")
    (request,) = requests(student, [3])
    with pytest.raises(InternalError, match="p0: the cache of another engine"):
        written(student, [replace(request, cache=Other())])
