"""`smallsteps teach` as a person types it: the solver, a faulty endpoint, `transformers serve`, a
local folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from loopback import Server, completion
from smallsteps.cli.main import main
from smallsteps.generation.replies import ReplyStore
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.stories import make_chains

KEY = "sk-only-in-the-environment"


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [
        {"id": c.problem.id, "question": c.problem.question, "answer": c.problem.answer}
        for c in make_chains(6, 9, "easy")
    ]
    write_rows(tmp_path / "q.jsonl", rows)
    return tmp_path / "q.jsonl"


def teach(
    questions: Path, teacher: str, *options: str, out: str = "taught.jsonl"
) -> tuple[int, list[dict]]:
    folder = questions.parent
    code = main(
        [
            "teach",
            str(questions),
            "--teacher",
            teacher,
            "--task",
            "stories",
            "--out",
            str(folder / out),
            "--store",
            str(folder / "replies.sqlite"),
            *options,
        ]
    )
    path = folder / out
    return code, [
        json.loads(line) for line in path.read_text().splitlines()
    ] if path.exists() else []


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_the_solver_explains_every_bundled_question(
    questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = teach(questions, "solver")
    assert code == 0 and [row["id"] for row in rows] == [
        json.loads(x)["id"] for x in questions.read_text().splitlines()
    ]
    assert all(
        set(row) == {"id", "question", "answer", "rationale", "predicted", "correct"}
        for row in rows
    )
    assert all(row["correct"] and row["predicted"] == row["answer"] for row in rows)
    assert "6 of 6 replies kept" in capsys.readouterr().out


def test_wrong_replies_are_asked_again_and_recorded(
    questions: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = {
        json.loads(x)["question"]: json.loads(x)["answer"]
        for x in questions.read_text().splitlines()
    }

    def answer(body: dict, times: int) -> tuple[int, object, dict]:
        question = next(q for q in gold if q in body["messages"][-1]["content"])
        right = times > 1 or question == next(iter(gold))
        return 200, completion(f"So it is. The answer is {gold[question] if right else 9999}."), {}

    server.answer = answer
    options = (
        "--base-url",
        server.url,
        "--retries",
        "2",
        "--temperature",
        "1",
        "--price",
        "1",
        "2",
    )
    code, rows = teach(questions, "m", *options)
    assert code == 0 and len(rows) == 11
    assert [row["correct"] for row in rows] == [True] + [False, True] * 5
    assert [row.get("dropped") for row in rows][:3] == [None, "wrong answer", None]
    output = capsys.readouterr()
    assert "6 of 11 replies kept" in output.out and "dropped 5: wrong answer" in output.out
    assert "11 calls, 110 tokens" in output.out and "6 calls" in output.err, (
        "what it costs is said before and after"
    )
    assert server.calls == 11
    assert teach(questions, "m", *options, out="again.jsonl")[1] == rows and server.calls == 11
    for file in questions.parent.iterdir():
        assert KEY.encode() not in file.read_bytes()


def test_the_files_of_a_taught_student_can_be_compared_and_segmented(questions: Path) -> None:
    from smallsteps.tasks import get_task
    from smallsteps.tasks.files import read_chains

    teach(questions, "solver")
    assert len(read_chains(questions.parent / "taught.jsonl", get_task("stories")).chains) == 6


def test_a_job_that_was_killed_goes_on_and_buys_only_what_is_missing(
    questions: Path, server: Server
) -> None:
    rows = [
        json.loads(line) | {"id": f"x{n}"}
        for n, line in enumerate(questions.read_text().splitlines() * 10)
    ]
    rows = [row | {"question": f"{n}: {row['question']}"} for n, row in enumerate(rows)]
    write_rows(questions, rows)
    server.delay = 0.1
    command = [
        sys.executable,
        "-c",
        "import sys; from smallsteps.cli.main import main; sys.exit(main())",
        "teach",
        str(questions),
        "--teacher",
        "m",
        "--base-url",
        server.url,
        "--out",
        str(questions.parent / "taught.jsonl"),
        "--store",
        str(questions.parent / "replies.sqlite"),
        "--concurrency",
        "4",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while server.calls < 20:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    bought, asked = len(ReplyStore(questions.parent / "replies.sqlite")), server.calls
    assert asked - bought <= 4, "no more than those under way are lost"
    assert not (questions.parent / "taught.jsonl").exists()
    server.delay = 0.0
    done = subprocess.run(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120
    )
    assert done.returncode == 2, (
        "the loopback server's replies hold no right answer, so that none is kept"
    )
    assert len((questions.parent / "taught.jsonl").read_text().splitlines()) == 60
    assert server.calls <= 60 + 4
    assert max(server.asked.values()) <= 2


@pytest.mark.parametrize(
    ("teacher", "options", "message"),
    [
        ("solver", ("--samples", "2"), "--samples above 1 needs --temperature"),
        ("m", ("--base-url", "localhost:8000"), "expected http://"),
        ("m", ("--base-url", "http://127.0.0.1:9/v1"), "cannot connect to"),
        ("m", ("--prompt", "initiall"), "Did you mean 'initial'"),
        ("m", ("--max-money", "3"), "needs prices"),
        ("gone.jsonl", (), "gone.jsonl"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    questions: Path,
    teacher: str,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, rows = teach(questions, teacher, *options)
    assert code == 2 and rows == []
    assert message in capsys.readouterr().err


def test_no_key_is_said_before_any_work(
    questions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert teach(questions, "gpt-x")[0] == 2
    assert "set the environment variable OPENAI_API_KEY" in capsys.readouterr().err


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory, tiny_chat: Callable[[Path], Path]) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("chat"))


def test_a_local_folder_teaches_and_its_replies_are_kept(questions: Path, chat_model: Path) -> None:
    code, rows = teach(questions, str(chat_model), "--max-new-tokens", "12")
    assert code == 0 and len(rows) == 6
    store = ReplyStore(questions.parent / "replies.sqlite")
    kept = len(store)
    assert teach(questions, str(chat_model), "--max-new-tokens", "12", out="again.jsonl")[1] == rows
    assert len(store) == kept


@pytest.fixture(scope="module")
def served(chat_model: Path) -> Iterator[str]:
    """`transformers serve` with a tiny model on loopback."""
    pytest.importorskip("uvicorn", reason="transformers[serving] is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            "transformers",
            "serve",
            str(chat_model),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--device",
            "cpu",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        for _ in range(240):
            assert process.poll() is None, "transformers serve ended"
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
                break
            except (URLError, OSError):
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def test_against_transformers_serve(questions: Path, chat_model: Path, served: str) -> None:
    options = [
        "--base-url",
        served,
        "--max-new-tokens",
        "12",
        "--temperature",
        "1",
        "--concurrency",
        "2",
    ]
    code, rows = teach(questions, str(chat_model), *options, "--max-calls", "3")
    assert code == 0 and len(rows) == 6
    assert any("limit of 3 calls" in row.get("dropped", "") for row in rows)
    code, rows = teach(
        questions, str(chat_model), *options, "--samples", "2", "--retries", "1", out="more.jsonl"
    )
    assert code == 0 and not any("limit of" in row.get("dropped", "") for row in rows)
    assert len(rows) == 24, (
        "a model of random weights gets nothing right: each of 12 replies was asked for once more"
    )
    store = ReplyStore(questions.parent / "replies.sqlite")
    assert store.spent(str((questions.parent / "taught.jsonl").resolve())).calls == 3
    calls = len(store)
    assert (
        teach(
            questions,
            str(chat_model),
            *options,
            "--samples",
            "2",
            "--retries",
            "1",
            out="third.jsonl",
        )[1]
        == rows
    )
    assert (
        len(store) == calls
        and store.spent(str((questions.parent / "third.jsonl").resolve())).calls == 0
    )
    assert teach(questions, "no-such-model", *options, out="none.jsonl") == (2, [])


def test_a_dry_run_of_tailored_learning_reads_questions_without_rationales(
    questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["run", "tailored/own", f"data.chains={questions}", "data.task=stories", "--dry-run"])
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "sizes: 6 questions" in said
        and "at most 12 calls at the start (T_0) and 12 for the feedback" in said
    )


def test_extra_parameters_reach_the_server_and_a_pause_is_shown(
    questions: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: dict, times: int) -> tuple[int, object, dict]:
        if len(server.bodies) == 1:
            return 429, {"error": {"message": "slow down"}}, {"retry-after": "1"}
        return 200, completion("The answer is 1."), {}

    server.answer = answer
    options = (
        "--base-url",
        server.url,
        "--extra-body",
        '{"reasoning_effort": "low", "temperature": null}',
    )
    assert teach(questions, "m", *options)[0] == 2, "every reply is wrong"
    assert all(
        body["reasoning_effort"] == "low" and "temperature" not in body for body in server.bodies
    )
    said = capsys.readouterr().err
    assert f"asking m at {server.url}, with the key of OPENAI_API_KEY" in said
    assert (
        "is busy (status 429: slow down): waiting until" in said
        and "the server asks for 1 s" in said
    )


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        (
            {},
            ("--base-url", "https://elsewhere.invalid/v1"),
            "export OPENAI_BASE_URL=https://elsewhere.invalid/v1",
        ),
        (
            {"OPENAI_BASE_URL": "https://home.invalid/v1"},
            ("--base-url", "https://a.invalid/v1"),
            "home.invalid alone",
        ),
        ({"OPENAI_BASE_URL": "http://home.invalid/v1"}, (), "plain http would show the key"),
        (
            {"OPENAI_BASE_URL": "http://user:hunter2@home.invalid/v1"},
            (),
            "carries a user name or a password",
        ),
        (
            {"OPENAI_BASE_URL": "home.invalid/v1"},
            (),
            "OPENAI_BASE_URL 'home.invalid/v1': expected http://",
        ),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}, (), "Port out of range"),
        ({"OPENAI_API_KEY": "sk-hunter2-é"}, (), "U+00E9 as its character 12"),
        (
            {
                "OPENAI_BASE_URL": "https://home.invalid/v1",
                "ALL_PROXY": "socks5://user:hunter2@127.0.0.1:9",
            },
            (),
            "ALL_PROXY names a socks5 proxy",
        ),
        ({}, ("--extra-body", "{"), "--extra-body '{': expected a JSON object"),
        (
            {},
            ("--base-url", "http://127.0.0.1:1/v1", "--extra-body", '{"n": 2}'),
            "`n` cannot be set there",
        ),
    ],
)
def test_places_and_keys_that_cannot_serve_are_one_line_and_nothing_is_asked(
    variables: dict[str, str],
    options: tuple[str, ...],
    message: str,
    questions: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, rows = teach(questions, "m", *options)
    said = capsys.readouterr().err
    assert code == 2 and not rows and message in said and "Traceback" not in said
    assert "hunter2" not in said and KEY not in said
