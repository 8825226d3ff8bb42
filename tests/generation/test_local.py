"""The local engine: replies, log-probabilities, precision, sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from smallsteps.errors import InternalError, RecipeError
from smallsteps.generation.generator import Decoding, Engine, EngineSettings, Request
from smallsteps.generation.local import LocalEngine
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from tiny_solving import a_task, problems

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
QUESTIONS = [
    "Ann has 3 boxes?",
    "Tom bought 16 apples and ate 2 of them; then he sold 10?",
    "Is it true?",
    "pens 4?",
]


def requests(student: Student, samples: int = 1) -> list[Request]:
    return [Request(q, student.source_ids(TASK, q), samples=samples) for q in QUESTIONS]


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "llama"])
def test_one_reply_for_each_request_and_sample(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    engine: Engine = LocalEngine(student, EngineSettings(batch_size=3))
    told: list[int] = []
    decoding = Decoding(max_new_tokens=12, temperature=1.0, logprobs=True)
    replies = list(engine.generate(requests(student, 3), decoding, told.append))
    assert {(r.id, r.sample) for r in replies} == {(q, n) for q in QUESTIONS for n in range(3)}
    assert told == list(range(1, 13))
    for reply in replies:
        assert reply.tokens == len(reply.logprobs) <= 12
        assert reply.tokens == len(reply.ids) + (reply.finished == "end")
        assert student.end_id not in reply.ids
        assert all(p <= 0 for p in reply.logprobs)


def test_logprobs_are_those_of_the_model(tiny: Tiny) -> None:
    student = tiny("t5")
    decoding = Decoding(max_new_tokens=8, logprobs=True)
    for reply in LocalEngine(student, EngineSettings(batch_size=2)).generate(
        requests(student), decoding
    ):
        ids = [*reply.ids, student.end_id][: reply.tokens]
        source = torch.tensor([student.source_ids(TASK, reply.id)], device=student.device)
        with torch.no_grad():
            inputs = torch.tensor([[0, *ids[:-1]]], device=student.device)
            logits = student.model(input_ids=source, decoder_input_ids=inputs).logits[0].cpu()
        wanted = logits.log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)]
        assert list(reply.logprobs) == pytest.approx(wanted.tolist(), abs=2e-3)


def test_adapters_speak(tiny: Tiny) -> None:
    student = add_lora(tiny("t5"), LoraSettings(rank=2), seed=0)
    decoding = Decoding(max_new_tokens=8)
    before = {
        r.id: r.ids
        for r in LocalEngine(student, EngineSettings(batch_size=4)).generate(
            requests(student), decoding
        )
    }
    for name, parameter in student.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(0))
    after = {
        r.id: r.ids
        for r in LocalEngine(student, EngineSettings(batch_size=4)).generate(
            requests(student), decoding
        )
    }
    assert before != after


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_reduced_precision_leaves_the_student_as_it_was(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    replies = list(
        LocalEngine(student, EngineSettings(dtype="bf16")).generate(
            requests(student), Decoding(max_new_tokens=4)
        )
    )
    assert len(replies) == 4
    assert student.dtype is torch.float32


def test_more_may_be_submitted_after_all_was_done(tiny: Tiny) -> None:
    student = tiny("t5")
    session = LocalEngine(student, EngineSettings(batch_size=4)).session(Decoding(max_new_tokens=6))
    done = []
    for count in (1, 4, 2):
        for request in requests(student)[:count]:
            session.submit(request)
        while not session.idle:
            done += session.step()
    by_question = {(r.id, r.ids) for r in done}
    assert len(done) == 7 and len(by_question) == 4, (
        "the same question must get the same reply whenever it comes"
    )


def test_a_longer_limit_may_come_while_others_are_under_way(tiny: Tiny) -> None:
    student = tiny("t5", talkative=0.0)
    first, second = requests(student)[:2]
    session = LocalEngine(student, EngineSettings(batch_size=2)).session(Decoding(max_new_tokens=3))
    session.submit(first)
    assert session.step() == []
    session.submit(Request("long", second.prompt, max_new_tokens=400))
    replies = []
    while not session.idle:
        replies += session.step()
    assert {r.id: r.tokens for r in replies} == {first.id: 3, "long": 400}


def test_what_a_local_model_cannot_do_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InternalError, match="reads ids, got text"):
        list(LocalEngine(tiny("t5")).generate([Request("a", "text")], Decoding()))
    with pytest.raises(RecipeError, match="batch_size: expected"):
        LocalEngine(tiny("t5"), EngineSettings(batch_size=0))
    with pytest.raises(RecipeError, match=r"dtype 'half' is not known"):
        LocalEngine(tiny("t5"), EngineSettings(dtype="half"))


@pytest.mark.parametrize("style", ["t5", "bart", "llama", "qwen"])
def test_a_reply_that_begins_with_its_own_first_tokens_is_the_same_reply(
    tiny: Tiny, style: str
) -> None:
    """Given tokens are read as chosen ones are, also beside rows that have none."""
    student = tiny(style, talkative=2.0)
    prompts = {p.id: student.source_ids(a_task(), p.question) for p in problems(12)}
    engine = LocalEngine(student, EngineSettings(batch_size=5))
    decoding = Decoding(max_new_tokens=20)
    free = [Request(name, prompt) for name, prompt in prompts.items()]
    replies = {reply.id: reply for reply in engine.generate(free, decoding)}
    half = [
        replace(request, given=replies[request.id].ids[: n % 4 * len(replies[request.id].ids) // 4])
        for n, request in enumerate(free)
    ]
    assert len({len(request.given) for request in half}) > 1
    for reply in engine.generate(half, decoding):
        assert (reply.ids, reply.text) == (replies[reply.id].ids, replies[reply.id].text)
        assert reply.finished == replies[reply.id].finished
    first = replies[free[0].id].ids[0]
    other = next(i for i in student.encode("Ann has boxes so she") if i != first)
    (changed,) = engine.generate([replace(free[0], given=(other,))], decoding)
    assert changed.ids[0] == other
