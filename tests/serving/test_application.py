"""The server over HTTP, asked by the official client and by our own teacher and reader."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from smallsteps.generation.generator import Decoding
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.serving.served_student import ServedStudent
from tiny_serving import ALL, TASK, RunningServer, served, serving, slow, until
from tiny_solving import Tiny, problems

QUESTIONS = [problem.question for problem in problems(5)]


@pytest.fixture
def kinds(tiny: Tiny) -> Iterator[RunningServer]:
    """A server over a student of each way of writing."""
    students = [served(tiny, *which) for which in (("t5", "uni"), ("llama", "dual"))]
    students += [served(tiny, "llama", "direct"), served(tiny, "qwen", "text")]
    with serving(*students) as server:
        yield server


MODELS = ("t5-uni", "llama-dual", "llama-direct")


def ask(server: RunningServer, model: str, question: str, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return server.client().chat.completions.create(model=model, messages=messages, **options)


def test_models_are_listed_and_found(kinds: RunningServer) -> None:
    listed = kinds.client().models.list()
    assert [model.id for model in listed] == [*MODELS, "qwen-text"]
    assert kinds.client().models.retrieve("t5-uni").owned_by == "smallsteps"
    with pytest.raises(openai.NotFoundError, match=r"'x' is not served here\. Served: t5-uni"):
        kinds.client().models.retrieve("x")


@pytest.mark.parametrize("model", MODELS)
def test_a_reply_and_a_stream_say_the_same_as_solve(
    tiny: Tiny, kinds: RunningServer, model: str
) -> None:
    student = served(tiny, *model.split("-"))
    for question in QUESTIONS:
        problem = Problem("question", question)
        (alone,) = solve(student.student, [problem], TASK, student.settings, Decoding())
        reply = ask(kinds, model, question)
        assert reply.choices[0].message.content == alone.text
        assert reply.choices[0].smallsteps["answer"] == alone.answer
        assert reply.usage.completion_tokens == alone.tokens
        stream = list(
            ask(kinds, model, question, stream=True, stream_options={"include_usage": True})
        )
        parts = [event.choices[0].delta.content or "" for event in stream if event.choices]
        assert "".join(parts) == alone.text
        assert stream[-1].usage == reply.usage and not stream[-1].choices
        assert stream[-2].choices[0].finish_reason == reply.choices[0].finish_reason


def test_a_seed_repeats_several_choices_that_differ(kinds: RunningServer) -> None:
    options: dict[str, Any] = {"n": 4, "temperature": 1.0, "seed": 3, "max_tokens": 12}
    first = ask(kinds, "llama-direct", QUESTIONS[0], **options)
    second = ask(kinds, "llama-direct", QUESTIONS[0], **options)
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2, 3] and len(set(texts)) > 1
    assert first.usage.prompt_tokens == ask(kinds, "llama-direct", QUESTIONS[0]).usage.prompt_tokens


def test_stops_and_limits_are_those_of_the_client(kinds: RunningServer) -> None:
    texts = {q: ask(kinds, "t5-uni", q).choices[0].message.content for q in QUESTIONS}
    question = max(texts, key=lambda q: len(texts[q]))
    stop = texts[question][5:8]
    cut = ask(kinds, "t5-uni", question, stop=[stop]).choices[0]
    assert cut.message.content == texts[question].split(stop)[0].rstrip()
    assert cut.finish_reason == "stop"
    short = ask(kinds, "t5-uni", question, max_tokens=2)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 2


def test_log_probabilities_spell_the_reply(kinds: RunningServer) -> None:
    choice = ask(kinds, "llama-direct", QUESTIONS[0], logprobs=True).choices[0]
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert all(token.logprob <= 0 for token in tokens)


def test_texts_are_continued_each_with_its_choices_in_order(kinds: RunningServer) -> None:
    ask_text = kinds.client().completions.create
    both = ask_text(model="qwen-text", prompt=["Ann has", "Tom ate"], n=2, max_tokens=5, logprobs=0)
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert both.choices[0].text == both.choices[1].text != both.choices[2].text
    alone = ask_text(model="qwen-text", prompt="Tom ate", max_tokens=5)
    assert alone.choices[0].text == both.choices[2].text
    logprobs = both.choices[0].logprobs
    assert logprobs is not None and logprobs.tokens is not None
    assert "".join(logprobs.tokens) == both.choices[0].text
    stream = ask_text(model="qwen-text", prompt="Tom ate", max_tokens=5, stream=True)
    assert "".join(event.choices[0].text for event in stream) == alone.choices[0].text


def test_questions_of_a_trained_student_may_come_as_texts(kinds: RunningServer) -> None:
    text = kinds.client().completions.create(model="t5-uni", prompt=QUESTIONS[0]).choices[0].text
    assert text == ask(kinds, "t5-uni", QUESTIONS[0]).choices[0].message.content


def test_errors_have_the_shape_and_status_that_clients_know(kinds: RunningServer) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(kinds, "t5-uni", "Ann?", temperature=-1)
    assert refused.value.param == "temperature"
    with pytest.raises(openai.NotFoundError, match="Did you mean 'llama-direct'") as unknown:
        ask(kinds, "lama-direct", "Ann?")
    assert unknown.value.code == "model_not_found"
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as long:
            ask(kinds, "llama-direct", "pens " * 300, stream=stream)
        assert long.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"x" * (2**20 + 1), 413),
        ("GET", "/v1/chat/completions", None, 405),
        ("OPTIONS", "/v1/chat/completions", None, 405),
        ("GET", "/v1/embeddings", None, 404),
        ("GET", "/../../etc/passwd", None, 404),
        ("GET", "/health", None, 200),
    ],
)
def test_whatever_is_sent_gets_json(
    kinds: RunningServer, method: str, path: str, body: bytes | None, status: int
) -> None:
    reply = httpx2.request(method, kinds.url + path, content=body, timeout=30)
    assert reply.status_code == status
    assert ("error" in reply.json()) is (status != 200)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("POST", "/v1/chat/completion", "No such path. Did you mean /v1/chat/completions?"),
        ("GET", "/etc", "No such path."),
        ("GET", "/v1/completions", "GET does nothing here. Use POST."),
    ],
)
def test_a_wrong_path_names_the_one_that_is_near(
    kinds: RunningServer, method: str, path: str, message: str
) -> None:
    reply = httpx2.request(method, kinds.url + path, timeout=30)
    assert reply.json()["error"]["message"] == message


def test_a_key_is_demanded_and_the_client_sends_it(tiny: Tiny) -> None:
    with serving(served(tiny), key="a key of 16 char") as server:
        assert len(server.client("a key of 16 char").models.list().data) == 1
        with pytest.raises(openai.AuthenticationError, match="A key is needed"):
            server.client("wrong").models.list()


def test_a_page_of_another_site_is_refused(kinds: RunningServer) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        assert httpx2.get(f"{kinds.base_url}/models", headers=headers).status_code == 403


def load(server: RunningServer) -> dict[str, Any]:
    state: dict[str, Any] = httpx2.get(f"{server.url}/health").json()
    return state


def test_clients_that_hang_up_free_their_slots_and_lose_nobody_elses_reply(tiny: Tiny) -> None:
    body = {"model": "slow", "prompt": "Ann has", "max_tokens": 200}

    async def hang_up(server: RunningServer, stream: bool) -> None:
        async with httpx2.AsyncClient(timeout=0.3) as client:
            try:
                await client.post(f"{server.base_url}/completions", json={**body, "stream": stream})
            except httpx2.TimeoutException:
                return

    student = slow(tiny, batch_size=2)
    real = student.halves["ES"].text
    with serving(student) as server:
        student.halves["ES"].text = lambda ids: (threading.Event().wait(0.01), real(ids))[1]  # type: ignore[method-assign]

        async def several() -> None:
            await asyncio.gather(*(hang_up(server, n % 2 == 0) for n in range(6)))

        asyncio.run(several())
        student.halves["ES"].text = real  # type: ignore[method-assign]
        until(lambda: (load(server)["running"], load(server)["waiting"]) == (0, 0))
        reply = httpx2.post(f"{server.base_url}/completions", json={**body, "max_tokens": 3})
        assert reply.json()["usage"]["completion_tokens"] == 3


def test_beyond_the_queue_clients_are_told_to_come_back(tiny: Tiny) -> None:
    body = {"model": "slow", "prompt": "Ann has", "n": 4, "max_tokens": 2}
    with serving(slow(tiny, batch_size=2), queue_limit=1) as server:
        reply = httpx2.post(f"{server.base_url}/completions", json=body)
        assert reply.status_code == 429 and reply.headers["retry-after"] == "1"
        assert reply.json()["error"]["code"] == "queue_full"
        fewer = httpx2.post(f"{server.base_url}/completions", json={**body, "n": 3})
        assert fewer.status_code == 200


def test_an_error_in_the_middle_of_a_stream_is_an_event(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = slow(tiny)
    with serving(student) as server:
        steps = []
        real = student.halves["ES"].text

        def fails_later(ids: Any) -> str:
            steps.append(len(ids))
            return real(ids) if len(steps) < 4 else 1 / 0  # type: ignore[return-value]

        monkeypatch.setattr(student.halves["ES"], "text", fails_later)
        stream = server.client().completions.create(
            model="slow", prompt="Ann", max_tokens=50, stream=True
        )
        with pytest.raises(openai.APIError, match="The student failed"):
            list(stream)
        assert any("ZeroDivisionError" in line for line in server.lines)
        assert not any("Ann" in line for line in server.lines)


def test_a_gpu_with_too_little_memory_fails_the_replies_of_now_and_serves_the_next(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = slow(tiny)

    def fail(ids: Any) -> str:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with serving(student) as server:
        ask_text = server.client().completions.create
        with monkeypatch.context() as patched:
            patched.setattr(student.halves["ES"], "text", fail)
            with pytest.raises(openai.InternalServerError, match="too little memory for so many"):
                ask_text(model="slow", prompt="Ann", max_tokens=5)
        assert ask_text(model="slow", prompt="Ann", max_tokens=5).choices[0].text


def test_a_gpu_that_fails_ends_every_reply_with_one_clear_error_and_not_in_silence(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: a server that tries each request anew on a device that is gone."""
    student = slow(tiny)

    def fail(ids: Any) -> str:
        raise RuntimeError("CUDA error: unspecified launch failure")

    with serving(student) as server:
        monkeypatch.setattr(student.halves["ES"], "text", fail)
        for _ in range(2):
            with pytest.raises(openai.InternalServerError, match="GPU of the server has failed"):
                server.client().completions.create(model="slow", prompt="Ann", max_tokens=5)
        health = httpx2.get(f"{server.url}/health")
        assert health.status_code == 503 and health.json()["status"] == "failed"
        named = [line for line in server.lines if "unspecified launch failure" in line]
        assert len(named) == 1 and named[0].startswith("the GPU failed (CUDA error: ")


@pytest.mark.parametrize(("style", "kind"), [ALL[1], ALL[-1]])
def test_many_clients_at_once_each_get_their_own_reply(tiny: Tiny, style: str, kind: str) -> None:
    student = served(tiny, style, kind, batch_size=16)
    questions = [problem.question for problem in problems(24)]

    async def ask_all(server: RunningServer) -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=student.id, messages=[{"role": "user", "content": question}]
                    )
                    for question in questions
                )
            )
        return [reply.choices[0].message.content or "" for reply in replies]

    with serving(student) as server:
        texts = asyncio.run(ask_all(server))
    for question, text in zip(questions, texts, strict=True):
        problem = Problem("question", question)
        (alone,) = solve(student.student, [problem], TASK, student.settings, Decoding())
        assert text == alone.text


def test_our_own_teach_asks_it_like_any_other_server(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smallsteps.cli.main import main

    student = served(tiny, "t5", "uni")
    rows = [{"id": str(n), "question": question} for n, question in enumerate(QUESTIONS)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with serving(student) as server:
        command = [
            "teach",
            str(tmp_path / "q.jsonl"),
            "--teacher",
            "t5-uni",
            "--task",
            "text",
            "--base-url",
            server.base_url,
            "--out",
            str(tmp_path / "chains.jsonl"),
            "--store",
            str(tmp_path / "store.sqlite"),
        ]
        code = main(command)
    assert code == 0
    posts = [line for line in server.lines if line.startswith("POST /v1/chat/completions 200")]
    assert len(posts) >= len(QUESTIONS)


def test_our_own_guide_asks_it_as_a_reader(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smallsteps.cli.main import main

    row = {"id": "a", "question": "Where does Ann live?", "context": "Ann lives in Rome."}
    (tmp_path / "hops.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    reader = tiny("qwen", talkative=0.0)
    reader.model.config.max_position_embeddings = 4096
    reader.max_source_tokens = 4096
    with serving(ServedStudent("reader", reader, None)) as server:
        command = [
            *("guide", str(tmp_path / "hops.jsonl"), "--guide", "bundled", "--reader", "reader"),
            *("--base-url", server.base_url, "--out", str(tmp_path / "answers.jsonl")),
            *("--store", str(tmp_path / "store.sqlite")),
        ]
        assert main(command) == 0
    assert (tmp_path / "answers.jsonl").read_text().count("\n") == 1
    assert any(line.startswith("POST /v1/chat/completions 200") for line in server.lines)
