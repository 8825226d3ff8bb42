"""The engine `vllm` against a stand-in for the server that runs the very student: what it writes is
what the local engine writes; what cannot be the student's is refused."""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopback import Server
from smallsteps.errors import DataError, EngineError, RecipeError, StudentError
from smallsteps.generation import causal
from smallsteps.generation.draft import GivenPrefix
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, Engine, EngineSettings, Reply, Request
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.generation.solve import solve
from smallsteps.generation.vllm_engine import server_environment, visible_card
from smallsteps.records import Problem
from smallsteps.students.dual import DualStudent
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from tiny_solving import Tiny, a_task, marked, problems
from token_server import Threads, answering, completion_of, continuation

TASK = a_task(max_chain_tokens=30)
STAND_IN = Path(__file__).parents[1] / "token_server.py"
COMMAND = (
    f"{sys.executable} {STAND_IN} {{folder}} --port {{port}} --served-model-name {{name}} "
    "--dtype {dtype} --max-model-len {length} --memory {memory}"
)


def at(server: Server, **settings: Any) -> SolveSettings:
    """The engine at a server that runs already."""
    return SolveSettings(
        engine="vllm", server=ServerSettings(base_url=server.url), batch_size=4, **settings
    )


def content(student: Student | DualStudent, settings: SolveSettings, **options: Any) -> Any:
    """What was written for each problem, and how it ended."""
    predictions = solve(student, problems(24), TASK, settings, **options)
    return {p.id: (p.segments, p.text, p.stopped, p.tokens, p.answer) for p in predictions}


def uni(tiny: Tiny) -> Student:
    return marked(prepare(tiny("llama"), TASK, path="uni"), 0.8)


def write(
    student: Student, server: Server, *requests: Request, **decoding: Any
) -> dict[Any, Reply]:
    with closing(open_engine(student, at(server))) as engine:
        replies = engine.generate(requests, Decoding(**{"max_new_tokens": 12, **decoding}))
        return {(reply.id, reply.sample): reply for reply in replies}


# ---- the same as the local engine ----


def test_a_whole_chain_is_what_the_local_engine_writes(tiny: Tiny, server: Server) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    server.answer = answering(student.model)
    assert content(student, at(server)) == content(student, SolveSettings())


def test_a_chain_in_segments_is_cut_where_the_local_engine_stops(
    tiny: Tiny, server: Server
) -> None:
    student, served = uni(tiny), list[int]()

    def answer(body: dict[str, Any], times: int) -> Any:
        completion = continuation(student.model, body)
        served.append(completion["usage"]["completion_tokens"])
        return 200, completion, {}

    server.answer = answer
    local = content(student, SolveSettings())
    assert content(student, at(server)) == local
    assert sum(served) > sum(tokens for *_, tokens, _ in local.values()), "nothing was cut"
    assert any(len(segments) > 1 for segments, *_ in local.values())


def test_a_chain_that_repeats_itself_ends_at_the_same_token(
    tiny: Tiny, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = a_task(max_chain_tokens=100)
    student = prepare(tiny("llama"), task, path="direct")
    words = student.encode("Ann has boxes")
    monkeypatch.setattr(
        causal,
        "choose_tokens",
        lambda logits, rows, decoding: ([words[len(row.written) % 3] for row in rows], None),
    )
    server.answer = lambda body, times: (
        200,
        completion_of((words * 40)[: body["max_tokens"]], "length", len(body["prompt"])),
        {},
    )
    (local,), (served,) = (
        list(solve(student, problems(1), task, settings.changed(stop_repetition=True)))
        for settings in (SolveSettings(), at(server))
    )
    assert served.stopped == local.stopped == "repetition"
    assert (served.tokens, served.text) == (local.tokens, local.text)


@pytest.mark.parametrize("path", ["direct", "uni"])
def test_a_given_beginning_is_continued_and_counts_as_written(
    tiny: Tiny, server: Server, path: Any
) -> None:
    student = uni(tiny) if path == "uni" else prepare(tiny("llama"), TASK, path="direct")
    server.answer = answering(student.model)
    given = {problem.id: GivenPrefix(begun="Ann has 3") for problem in problems(24)}
    asked: list[str] = []

    def enough(name: str, text: str) -> bool:
        asked.append(text)
        return len(text) > 40

    options: Any = {"given": given, "enough": enough}
    local = content(student, SolveSettings(), **options)
    assert content(student, at(server), **options) == local and asked
    assert all(text.startswith("Ann has 3") for _, text, *_ in local.values())


def test_a_server_of_its_own_is_given_the_student_and_ends_with_the_answers(
    tiny: Tiny, tmp_path: Path
) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    log = tmp_path / "logs" / "server.log"
    server = ServerSettings(command=COMMAND, log=str(log))
    served = content(student, SolveSettings(engine="vllm", server=server))
    assert served == content(student, SolveSettings())
    (line,) = (line for line in log.read_text().splitlines() if line.startswith("words "))
    folder, _, port, *rest = json.loads(line.removeprefix("words "))
    named = dict(zip(rest[::2], rest[1::2], strict=True))
    assert named == {
        "--served-model-name": "student",
        "--dtype": "float32",
        "--max-model-len": str(student.max_source_tokens),
        "--memory": "0.9",
    }
    assert not Path(folder).exists(), "the weights are deleted"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port))):
        pass


def test_a_pair_has_two_servers_with_half_of_the_card_each_and_adapters_merged(
    tiny: Tiny, servers: Threads
) -> None:
    halves = []
    for seed, role in ((1, "ES"), (2, "AS")):
        half = prepare(tiny("llama", seed=seed), TASK, path="dual", role=role)
        halves.append(marked(half, 0.8))
    add_lora(halves[0], LoraSettings(rank=2, alpha=64), seed=1)
    for name, weights in halves[0].model.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(std=0.5)
    assert halves[0].drive is not None
    pair = DualStudent(*halves, halves[0].drive)
    local = content(pair, SolveSettings())
    server = ServerSettings(command="true {folder} --port {port} {memory}")
    assert content(pair, SolveSettings(engine="vllm", server=server)) == local
    assert any(len(segments) > 2 for segments, *_ in local.values()), "nobody took turns"
    assert [words[-1] for words in servers.words] == ["0.45", "0.45"]
    assert servers.most_running == 2


def test_a_share_of_the_card_that_is_named_is_the_servers(tiny: Tiny, servers: Threads) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    server = ServerSettings(command="true {folder} --port {port} {memory}", memory=0.25)
    content(student, SolveSettings(engine="vllm", server=server))
    assert [words[-1] for words in servers.words] == ["0.25"]
    assert "memory" not in server.effects(), "a run may go on with another share"


def test_log_probabilities_are_those_of_the_local_engine(tiny: Tiny, server: Server) -> None:
    student = tiny("llama")
    server.answer = answering(student.model)
    request = Request("a", student.encode("How many pens?"))
    written = write(student, server, request, logprobs=True)["a", 0]
    (local,) = open_engine(student).generate([request], Decoding(max_new_tokens=12, logprobs=True))
    assert written.ids == local.ids and written.logprobs == pytest.approx(local.logprobs, abs=1e-4)
    assert len(written.logprobs) == written.tokens


# ---- draws ----


def test_draws_depend_on_the_request_and_the_sample_and_on_nothing_else(
    tiny: Tiny, server: Server
) -> None:
    student = tiny("llama")
    server.answer = answering(student.model)
    ids = student.encode("How many pens?")
    both = write(student, server, Request("a", ids, 3), Request("b", ids), temperature=1.0)
    assert len({reply.ids for reply in both.values()}) == 4, "samples and requests differ"
    alone = write(student, server, Request("a", ids, 1, first_sample=2), temperature=1.0)
    assert alone["a", 2] == both["a", 2]
    same = write(student, server, Request("c", ids, draws_as="b"), temperature=1.0)
    assert same["c", 0].ids == both["b", 0].ids
    other = write(student, server, Request("b", ids), temperature=1.0, seed=1)
    assert other["b", 0].ids != both["b", 0].ids


def test_a_request_may_have_a_decoding_of_its_own(tiny: Tiny, server: Server) -> None:
    student = tiny("llama")
    server.answer = answering(student.model)
    decoding = Decoding(temperature=0.5, top_k=3, top_p=0.9, seed=4)
    write(student, server, Request("a", [5, 6], decoding=decoding))
    sent = server.bodies[0]
    assert (sent["temperature"], sent["top_k"], sent["top_p"]) == (0.5, 3, 0.9)


def test_log_probabilities_of_other_distributions_are_refused(tiny: Tiny, server: Server) -> None:
    with pytest.raises(RecipeError, match=r"no log-probabilities for sample\(t=0.7.*engine local"):
        write(tiny("llama"), server, Request("a", [5]), temperature=0.7, logprobs=True)
    assert not server.calls


# ---- refused before anything is sent ----


def test_an_encoder_decoder_is_refused(tiny: Tiny, server: Server) -> None:
    with pytest.raises(StudentError, match=r"engine vllm writes for causal students, .*\(t5\)"):
        open_engine(tiny("t5"), at(server))


def test_a_half_cannot_be_written_by_a_server_that_runs_already(tiny: Tiny, server: Server) -> None:
    half = prepare(tiny("llama"), TASK, path="dual", role="ES")
    with pytest.raises(StudentError, match=r"one half of a dual-path pair, .*Leave the URL out"):
        open_engine(half, at(server))


def test_a_program_that_is_missing_is_named_with_what_to_type(tiny: Tiny) -> None:
    server = ServerSettings(command="no-such-vllm {folder} {port}")
    with pytest.raises(RecipeError, match=r"no program 'no-such-vllm' here\. Type pip install"):
        open_engine(tiny("llama"), EngineSettings(engine="vllm", server=server))


def test_a_dtype_is_checked(tiny: Tiny, server: Server) -> None:
    with pytest.raises(RecipeError, match=r"dtype 'int3' is not known"):
        open_engine(tiny("llama"), at(server, dtype="int3"))


def test_a_question_that_is_too_long_is_refused_before_a_server_is_needed(tiny: Tiny) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    nobody = SolveSettings(engine="vllm", server=ServerSettings(base_url="http://127.0.0.1:1/v1"))
    long = [Problem("long", "pens " * 5_000)]
    with pytest.raises(DataError, match=r"long: needs \d+ tokens"):
        list(solve(student, long, TASK, nobody))
    assert list(solve(student, [], TASK, nobody)) == []


# ---- servers that fail ----


def test_a_server_that_has_trouble_for_a_while_is_asked_again(tiny: Tiny, server: Server) -> None:
    student = tiny("llama")
    trouble: list[Any] = [
        (500, {"error": {"message": "oops"}}, {}),
        None,
        (503, {"error": {"message": "busy"}}, {"retry-after": "0"}),
    ]
    server.answer = lambda body, times: (
        trouble[times - 1] if times <= 3 else (200, continuation(student.model, body), {})
    )
    assert write(student, server, Request("a", [5, 6, 7]))["a", 0].tokens
    assert server.calls == 4


def test_a_request_that_is_refused_ends_the_job_with_the_servers_words(
    tiny: Tiny, server: Server
) -> None:
    server.answer = lambda body, times: (400, {"error": {"message": "prompt too long"}}, {})
    with pytest.raises(EngineError, match=r"refuses a request with status 400: prompt too long$"):
        write(tiny("llama"), server, Request("a", [5, 6, 7]))
    assert server.calls == 1


def test_replies_that_came_before_a_failure_are_not_lost(tiny: Tiny, server: Server) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    server.answer = lambda body, times: (
        (200, continuation(student.model, body), {})
        if server.calls < 8
        else (400, {"error": {"message": "no more"}}, {})
    )
    done = []
    with pytest.raises(EngineError, match="no more"):
        for prediction in solve(student, problems(24), TASK, at(server)):
            done.append(prediction)
    assert done


def test_a_server_without_token_ids_is_refused(tiny: Tiny, server: Server) -> None:
    server.answer = lambda body, times: (
        200,
        {"choices": [{"text": "hm", "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}},
        {},
    )
    with pytest.raises(EngineError, match=r"holds no `token_ids`.*vLLM from 0\.10\.2"):
        write(tiny("llama"), server, Request("a", [5]))


def test_a_server_that_ends_is_named_with_its_last_words_and_the_log_stays(
    tiny: Tiny, tmp_path: Path
) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import sys; print('ValueError: no memory left'); sys.exit(3)")
    server = ServerSettings(command=f"{sys.executable} {program} {{folder}} {{port}}")
    student = tiny("llama")
    with pytest.raises(
        EngineError, match=r"ended with exit code 3: ValueError: no memory"
    ) as caught:
        list(solve(student, problems(1), TASK, SolveSettings(engine="vllm", server=server)))
    log = Path(str(caught.value).rpartition(": ")[2])
    assert log.read_text() == "ValueError: no memory left\n"
    log.unlink()


def test_a_server_that_never_answers_is_ended(tiny: Tiny, tmp_path: Path) -> None:
    program = tmp_path / "sleeps.py"
    program.write_text("import sys, time; print(sys.argv[1], flush=True); time.sleep(600)")
    log = tmp_path / "server.log"
    server = ServerSettings(
        command=f"{sys.executable} {program} {{folder}} {{port}}", start_seconds=1.5, log=str(log)
    )
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"does not answer within 1\.5 seconds .*; .*says: /"):
        list(solve(tiny("llama"), problems(1), TASK, SolveSettings(engine="vllm", server=server)))
    assert time.monotonic() - began < 60
    assert not Path(log.read_text().strip()).exists(), "the weights are deleted"


def test_breaking_off_ends_what_is_under_way(tiny: Tiny, server: Server) -> None:
    student = prepare(tiny("llama"), TASK, path="direct")
    server.answer = answering(student.model)
    predictions = solve(student, problems(24), TASK, at(server))
    next(predictions)
    predictions.close()  # type: ignore[attr-defined]
    calls = server.calls
    time.sleep(0.3)
    assert server.calls - calls <= 4 and calls < 24


def test_the_engine_is_one_with_sessions_and_may_be_closed_unused(
    tiny: Tiny, server: Server
) -> None:
    engine = open_engine(tiny("llama"), at(server))
    assert isinstance(engine, Engine)
    engine.close()
    assert engine.session(Decoding()).idle and not server.calls


def test_a_card_is_named_as_the_process_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert (visible_card(0), visible_card(1)) == ("3", "5")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_card(1) == "1"


def test_a_server_does_not_believe_to_be_part_of_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID", "VLLM_TARGET"):
        monkeypatch.setenv(name, "1")
    assert {"RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"}.isdisjoint(
        server_environment()
    )
    assert server_environment()["VLLM_TARGET"] == "1"
