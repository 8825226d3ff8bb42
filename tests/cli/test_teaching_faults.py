"""`smallsteps teach` and `guide` where the teacher, the outputs or the prompt are not what they
should be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopback import Server, completion
from smallsteps.cli.main import main
from smallsteps.generation.replies import ReplyStore
from smallsteps.tasks.files import write_rows

Answer = Callable[[dict[str, Any], int], tuple[int, Any, dict[str, str]]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-key-of-tests")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(
        tmp_path / "q.jsonl",
        [{"id": f"q{n}", "question": f"What is {n} + 0?", "answer": "1"} for n in range(6)],
    )
    return tmp_path


def teach(
    folder: Path, server: Server | None, *options: str, out: str = "o.jsonl", teacher: str = "m"
) -> int:
    url = ("--base-url", server.url) if server else ()
    return main(
        [
            "teach",
            str(folder / "q.jsonl"),
            "--teacher",
            teacher,
            "--out",
            str(folder / out),
            "--store",
            str(folder / "r.sqlite"),
            *url,
            *options,
        ]
    )


def rows(folder: Path, out: str = "o.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / out).read_text().splitlines()]


def says(text: str | None, finish: str = "stop", **message: Any) -> Answer:
    return lambda body, times: (200, completion(text, finish, **message), {})


@pytest.mark.parametrize(
    ("thinking", "rationale"),
    [
        (None, "So 1. The answer is 1."),
        ("drop", "So 1. The answer is 1."),
        ("keep", "Perhaps. The answer is 9.\n\nSo 1. The answer is 1."),
        ("only", "Perhaps. The answer is 9."),
    ],
)
@pytest.mark.parametrize("place", ["tags", "field"])
def test_a_thought_is_the_rationale_only_where_it_is_asked_for(
    folder: Path, server: Server, thinking: str | None, rationale: str, place: str
) -> None:
    thought, said = "Perhaps. The answer is 9.", "So 1. The answer is 1."
    server.answer = (
        says(f"<think>{thought}</think>\n{said}")
        if place == "tags"
        else says(said, reasoning_content=thought)
    )
    code = 2 if thinking == "only" else 0  # every thought is wrong, so that nothing is kept
    assert teach(folder, server, *(() if thinking is None else ("--thinking", thinking))) == code
    assert {row["rationale"] for row in rows(folder)} == {rationale}
    assert teach(folder, server, "--thinking", "drop", out="again.jsonl") == 0
    assert server.calls == 6, "another policy buys nothing"


def test_where_no_reply_came_the_rows_say_why_and_the_command_fails(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = says("<think>Perhaps", "length")
    assert teach(folder, server) == 2
    assert {row["dropped"].split(":")[0] for row in rows(folder)} == {"unfinished thought"} and len(
        rows(folder)
    ) == 6
    assert "no reply came: all 6 requests failed" in capsys.readouterr().err
    assert len(ReplyStore(folder / "r.sqlite")) == 6, "what was paid is stored"


def test_where_nothing_was_kept_the_rows_are_there_and_the_command_says_how_to_end_a_reply(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = says("The answer is 5.")
    assert teach(folder, server) == 2
    error = capsys.readouterr().err
    assert "no reply was kept: all 6 were dropped for the same reason: wrong answer" in error
    assert r"End each reply with 'The answer is N.', #### N or \boxed{N}" in error
    assert len(rows(folder)) == 6


def test_a_file_of_replies_without_closings_is_kept_and_a_dry_run_says_what_it_holds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = [{"id": f"q{n}", "rationale": "So there is 1 cup.", "answer": 1} for n in range(4)]
    write_rows(folder / "my.jsonl", replies)
    assert teach(folder, None, "--dry-run", teacher=str(folder / "my.jsonl")) == 0
    assert "file teacher: 4 replies for 4 of 6 questions, 0 calls" in capsys.readouterr().err
    assert not (folder / "o.jsonl").exists()
    assert teach(folder, None, teacher=str(folder / "my.jsonl")) == 0
    assert "4 of 4 replies kept, 2 questions without a reply" in capsys.readouterr().out
    assert [row["rationale"] for row in rows(folder)[:4]] == [
        "So there is 1 cup. The answer is 1."
    ] * 4


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("q.jsonl", "same file as the input"),
        ("q.jsonl/o.jsonl", "--out"),
        (".", "a folder"),
        ("closed/o.jsonl", "--out"),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_the_first_call(
    folder: Path, server: Server, where: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0o500)
    if where.startswith("closed") and os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    assert teach(folder, server, out=where) == 2
    assert server.calls == 0 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    "raw", [r'"The answer \ud83d is 1."', '"The answer is 1.", "x": ' + "[" * 9000 + "]" * 9000]
)
def test_an_odd_body_is_paid_once_and_crashes_no_later_run(
    folder: Path, server: Server, raw: str
) -> None:
    whole = json.dumps(completion("TEXT")).replace('"TEXT"', raw)
    server.answer = lambda body, times: (200, whole, {})
    for _ in range(2):
        assert teach(folder, server) == (2 if "ud83d" in raw else 0)
        assert server.calls == 6 and len(rows(folder)) == 6
    assert rows(folder)[0].get("dropped") == (
        "contains damaged characters" if "ud83d" in raw else None
    )


def test_a_file_teacher_with_half_a_character_loses_that_row_alone(folder: Path) -> None:
    lines = [
        f'{{"id": "q{n}", "rationale": "The answer is 1.{chr(92) + "ud83d" if n == 2 else ""}"}}'
        for n in range(6)
    ]
    (folder / "t.jsonl").write_text("\n".join(lines) + "\n")
    assert teach(folder, None, teacher=str(folder / "t.jsonl")) == 0
    assert [row.get("dropped") for row in rows(folder)] == [
        None,
        None,
        "contains damaged characters",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% include 'x' %}", r":2: 'include' is not allowed"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' * 10**9 }}", "grows beyond"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "more than 100,000 steps",
        ),
    ],
)
def test_a_prompt_file_that_cannot_be_rendered_is_one_line_before_the_first_call(
    folder: Path, server: Server, template: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "p.txt").write_text(f"[user]\n{template}\n")
    assert teach(folder, server, "--prompt", str(folder / "p.txt")) == 2
    error = capsys.readouterr().err
    assert (
        message in error and "p.txt:2" in error and "Traceback" not in error and server.calls == 0
    )


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_file_teacher_may_be_any_file_of_rows(folder: Path, ending: str) -> None:
    mark = {"csv": ",", "tsv": "\t"}[ending]
    (folder / f"t.{ending}").write_text(
        f"id{mark}rationale\n" + "".join(f"q{n}{mark}The answer is 1.\n" for n in range(6))
    )
    assert teach(folder, None, teacher=str(folder / f"t.{ending}")) == 0
    assert not any(row.get("dropped") for row in rows(folder))


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "~/model", "nowhere.jsonl"])
def test_a_path_that_is_not_there_is_asked_of_no_server(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach(folder, None, teacher=name) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (("--max-calls", "-1"), "--max-calls"),
        (("--max-tokens-total", "-5"), "--max-tokens-total"),
        (("--max-money", "nan", "--price", "1", "1"), "--max-money"),
        (("--max-money", "1", "--price", "nan", "1"), "--price"),
        (("--price", "1", "inf"), "--price"),
        (("--price", "-1", "1"), "--price"),
        (("--temperature", "inf"), "--temperature"),
        (("--temperature", "nan"), "--temperature"),
        (("--temperature", "-1"), "--temperature"),
        (("--temperature", "1e-30"), "--temperature"),
        (("--timeout", "nan"), "--timeout"),
        (("--timeout", "inf"), "--timeout"),
        (("--timeout", "0"), "--timeout"),
        (("--concurrency", "0"), "--concurrency"),
        (("--concurrency", "9999999"), "--concurrency"),
        (("--max-new-tokens", "0"), "--max-new-tokens"),
        (("--max-new-tokens", str(10**30)), "--max-new-tokens"),
        (("--seed", "-1"), "--seed"),
        (("--thinking", "all"), "--thinking"),
        (("--patience", "nan"), "--patience"),
    ],
)
def test_a_number_without_sense_is_one_line_before_the_first_call(
    folder: Path,
    server: Server,
    options: tuple[str, ...],
    flag: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert teach(folder, server, *options) == 2
    error = capsys.readouterr().err
    assert flag in error and "Traceback" not in error and server.calls == 0
    assert not (folder / "o.jsonl").exists() and not (folder / "r.sqlite").exists()


@pytest.mark.parametrize(
    ("recipe", "setting"),
    [("tailored/demo", "tailored.teacher.feedback"), ("guided/demo", "guided.reader.guided")],
)
def test_a_faulty_prompt_of_a_recipe_shows_before_any_training_and_leaves_no_folder(
    folder: Path, recipe: str, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "p.txt").write_text("[user]\n{{ question }}\n{{ 1 / 0 }}\n")
    changes = [
        f"{setting}={folder / 'p.txt'}",
        "data.count=60",
        "data.validation_count=10",
        "data.test_count=10",
    ]
    assert main(["run", recipe, *changes, "--out", str(folder / "run"), "--threads", "1"]) == 2
    error = capsys.readouterr().err
    assert "division by zero" in error and "p.txt:3" in error
    assert not (folder / "run").exists()


def test_names_that_are_no_utf_8_are_one_line_or_work(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach(folder, server, teacher="m\udcff") == 2
    assert "is not UTF-8" in capsys.readouterr().err and server.calls == 0
    server.answer = says("The answer is 1.")
    assert teach(folder, server, out="o\udcff.jsonl") == 0
    assert len((folder / "o\udcff.jsonl").read_bytes().splitlines()) == 6


@pytest.mark.parametrize(
    ("thinking", "said", "rationale", "dropped"),
    [
        ("only", "1", "0 + 1 makes 1. The answer is 1.", None),
        ("keep", "**1**", "0 + 1 makes 1\n\n**1**. The answer is 1.", None),
        ("only", "9", "0 + 1 makes 1. The answer is 9.", "wrong answer"),
        ("only", "Who knows?", "0 + 1 makes 1", "no answer can be read from its end"),
        ("drop", "Who knows?", "Who knows?", "no answer can be read from its end"),
    ],
)
def test_a_thought_without_a_closing_gets_that_of_what_follows_it(
    folder: Path, server: Server, thinking: str, said: str, rationale: str, dropped: str | None
) -> None:
    server.answer = says(said, reasoning_content="0 + 1 makes 1")
    assert teach(folder, server, "--thinking", thinking) == (2 if dropped else 0)
    row = rows(folder)[0]
    assert (row["rationale"], row.get("dropped")) == (rationale, dropped)
