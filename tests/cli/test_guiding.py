"""`smallsteps guide` as a person types it: an own student, a reader at an OpenAI-compatible URL, an
own small file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loopback import Server, completion
from smallsteps.cli.main import main

ROWS = [
    {
        "id": "a",
        "question": "In which country does Ann live?",
        "answer": "Italy",
        "context": "Ann lives in Rome. Rome is a town in Italy.",
    },
    {
        "id": "b",
        "question": "In which country does Ben live?",
        "answer": "Norway",
        "context": [["Ben", ["Ben lives in Oslo."]], ["Oslo", ["Oslo is a town in Norway."]]],
    },
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-only-here")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def guide(tmp_path: Path, server: Server):
    def run(rows: list[dict], *options: str, student: str = "bundled") -> tuple[int, list[dict]]:
        source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        code = main(
            [
                "guide",
                str(source),
                "--guide",
                student,
                "--reader",
                "m",
                "--base-url",
                server.url,
                "--out",
                str(out),
                "--store",
                str(tmp_path / "replies.sqlite"),
                *options,
            ]
        )
        return code, [
            json.loads(line) for line in out.read_text().splitlines()
        ] if out.exists() else []

    return run


def answers(body: dict, times: int) -> tuple[int, object, dict]:
    said = body["messages"][-1]["content"]
    return (
        200,
        completion("Prediction: Italy." if "Ann" in said or "Reasoning:" not in said else "Norway"),
        {},
    )


def test_rows_have_rationale_and_answer(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = answers
    code, rows = guide(ROWS)
    assert code == 0 and [row["id"] for row in rows] == ["a", "b"]
    assert [row["answer"] for row in rows] == ["Italy", "Norway"] and all(
        row["rationale"] for row in rows
    )
    assert [row["read_from"] for row in rows] == ["prediction", "direct"]
    assert all("answer_without" not in row for row in rows) and len(server.bodies) == 2
    assert rows[0]["rationale"] in server.bodies[0]["messages"][-1]["content"]
    assert "em = 100.0" in capsys.readouterr().out


def test_its_rows_can_be_scored_and_graded(
    guide, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = answers
    guide(ROWS)
    out = str(tmp_path / "out.jsonl")
    assert main(["quality", out, "--out", str(tmp_path / "scored.jsonl")]) == 0
    scored = [json.loads(line) for line in (tmp_path / "scored.jsonl").read_text().splitlines()]
    assert [row["id"] for row in scored] == ["a", "b"] and all(
        0 <= row["factuality"] <= 1 for row in scored
    )
    capsys.readouterr()
    assert main(["grade", out, str(tmp_path / "in.jsonl"), "--task", "hotpotqa"]) == 0
    assert capsys.readouterr().out.startswith("em = 100.0")


def test_compare_asks_without_it_too_and_says_what_turned(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = answers
    code, rows = guide(ROWS, "--compare")
    assert code == 0 and [row["answer_without"] for row in rows] == ["Italy", "Italy"]
    assert [row["correct"] for row in rows] == [True, True] and [
        row["correct_without"] for row in rows
    ] == [
        True,
        False,
    ]
    assert "wrong->right 1" in capsys.readouterr().out and len(server.bodies) == 4
    assert guide(ROWS, "--compare")[0] == 0 and len(server.bodies) == 4, "nothing is asked twice"


def test_questions_without_contexts_are_answered(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda body, times: (200, completion("Prediction: 12 pens."), {})
    rows = [
        {"id": str(n), "question": f"Ann has {n} x 4 pens. How many pens?", "answer": str(4 * n)}
        for n in (3, 5)
    ]
    code, found = guide(rows, "--task", "numbers", "--compare")
    assert (
        code == 0
        and [row["correct"] for row in found] == [True, False]
        and found[0]["answer"] == "12 pens"
    )
    assert "acc = 50.0" in capsys.readouterr().out


def test_questions_without_gold_answers_are_answered(guide, server: Server) -> None:
    server.answer = answers
    code, rows = guide([{k: v for k, v in row.items() if k != "answer"} for row in ROWS])
    assert (
        code == 0
        and [row["answer"] for row in rows] == ["Italy", "Norway"]
        and "correct" not in rows[0]
    )


@pytest.mark.parametrize(
    ("change", "said", "told"),
    [
        ({"context": ""}, None, "context"),
        ({"context": None}, None, "context"),
        ({"answer_aliases": 5}, None, "`answer_aliases` must be a list of texts"),
        ({}, "", "not one of 2 replies could be read"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    guide,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    change: dict,
    said: str | None,
    told: str,
) -> None:
    server.answer = answers if said is None else lambda body, times: (200, completion(said), {})
    rows = [ROWS[0], {k: v for k, v in {**ROWS[1], **change}.items() if v is not None}]
    code, found = guide(rows)
    error = capsys.readouterr().err
    assert code == 2 and not found and told in error and "Traceback" not in error
    assert said is not None or not server.bodies


def test_reports_are_no_answers_of_a_reader(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = guide(
        [{"id": "a", "findings": "Brain: normal.", "impression": "Normal."}], "--task", "pet"
    )
    assert code == 2 and not found and not server.bodies
    assert "task 'pet': its answers are whole texts" in capsys.readouterr().err


def test_a_local_folder_reads(tmp_path: Path, guide, server: Server, tiny_reader: Path) -> None:
    source, out = tmp_path / "x.jsonl", tmp_path / "y.jsonl"
    source.write_text(json.dumps(ROWS[0]) + "\n")
    options = [
        "--guide",
        "bundled",
        "--reader",
        str(tiny_reader),
        "--out",
        str(out),
        "--store",
        str(tmp_path / "r.sqlite"),
    ]
    assert main(["guide", str(source), *options]) == 0
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["answer"] and not server.bodies


@pytest.fixture
def tiny_reader(tmp_path: Path) -> Path:
    """The bundled student, which says something to everything."""
    from smallsteps.students.loading import load_student

    load_student("bundled").save(tmp_path / "reader")
    return tmp_path / "reader"


def test_a_dry_run_says_what_the_reader_may_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {**ROWS[n % 2], "id": f"q{n}", "question": f"In which country does Ann{n} live?"}
        for n in range(4)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["run", "guided/own", f"data.chains={tmp_path / 'q.jsonl'}", "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "models trained: 3" in said and "4 questions" in said
    # 4 to learn from, 7 arms for each of 4, 100 steps of 16 x 4 rewards; on at most 4, 3
    # evaluations of the distilled
    # student and 4 of the refined one
    assert "at most 6,460 calls" in said


def test_no_answer_comes_out_of_a_readers_thought(guide, server: Server) -> None:
    server.answer = lambda body, times: (
        200,
        completion("<think>Prediction: Spain</think>Prediction: Italy."),
        {},
    )
    assert guide(ROWS)[1][0]["answer"] == "Italy"
    assert guide(ROWS, "--thinking", "only")[1][0]["answer"] == "Spain", "asked for by name"
    assert len(server.bodies) == 2, "another policy buys nothing"


def test_a_reader_whose_thoughts_never_end_is_one_line(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda body, times: (200, completion("<think>Prediction: Italy", "length"), {})
    assert guide(ROWS) == (2, [])
    assert "not one of 2 replies could be read" in capsys.readouterr().err


def test_a_limit_on_the_readers_tokens_holds_without_usage(guide, server: Server) -> None:
    def answer(body: dict, times: int) -> tuple[int, object, dict]:
        whole = completion("Prediction: Italy.")
        del whole["usage"]
        return 200, whole, {}

    server.answer = answer
    rows = [ROWS[0] | {"id": f"r{n}", "question": f"{n}: {ROWS[0]['question']}"} for n in range(8)]
    assert guide(rows, "--max-tokens-total", "1000", "--max-new-tokens", "4") == (2, [])
    assert 0 < len(server.bodies) < 8


@pytest.fixture
def stored_guide(tmp_path: Path) -> Path:
    """The bundled student, saved as one that was trained for `numbers`."""
    from smallsteps.students.drive import Drive
    from smallsteps.students.loading import load_student

    student = load_student("bundled")
    student.drive = Drive("numbers")
    student.save(tmp_path / "mine")
    return tmp_path / "mine"


def test_the_task_stored_with_the_guide_is_taken_unless_one_is_named(
    stored_guide: Path, guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda body, times: (200, completion("Prediction: 12 pens."), {})
    rows = [{"id": "a", "question": "Ann has 3 x 4 pens. How many pens?", "answer": "12"}]
    code, found = guide(rows, student=str(stored_guide))
    said = capsys.readouterr()
    assert code == 0 and found[0]["correct"] and "task:numbers" in said.out
    assert said.err.count(f"task numbers, as stored with {stored_guide}") == 1
    code, _ = guide(rows, "--task", "hotpotqa", student=str(stored_guide))
    said = capsys.readouterr()
    assert code == 2 and "no context" in said.err and "as stored" not in said.err


def test_a_guide_without_a_stored_task_answers_hotpotqa(
    guide, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = answers
    assert guide(ROWS)[0] == 0
    said = capsys.readouterr()
    assert "task:hotpotqa" in said.out and "as stored" not in said.err
