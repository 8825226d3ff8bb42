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


def test_a_guide_that_is_not_there_is_named_before_the_questions_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trap: its stored task is missing too, and questions without a context were refused."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"id": "1", "question": "3 + 4?"}\n')
    command = ["guide", str(questions), "--guide", f"{tmp_path}/gone", "--reader", "m"]
    assert main([*command, "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "gone: no such folder or file" in capsys.readouterr().err


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


# ---- the gate ----

THIRD = {
    "id": "c",
    "question": "In which country does Cem live?",
    "answer": "Spain",
    "context": "Cem lives in Cadiz. Cadiz is a town in Spain.",
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The student writes one true, one false and one useless rationale."""
    from smallsteps.cli.guiding import Guide
    from smallsteps.methods.guided.rationales import WrittenRationale

    texts = {
        "a": "Ann lives in Rome. Rome is a town in Italy.",
        "b": "Ben lives in Lima. Lima is a town in Peru.",
        "c": "Zoe plays chess.",
    }
    monkeypatch.setattr(
        Guide,
        "rationales",
        lambda self, problems, task, device: [
            WrittenRationale(texts[problem.id], 5) for problem in problems
        ],
    )


def follows(body: dict, times: int) -> tuple[int, object, dict]:
    """Believes a rationale; alone it knows Norway only."""
    said = body["messages"][-1]["content"]
    if "Rate its factuality" in said:
        return 200, completion("Score: 5" if "Rationale: Ann" in said else "Score: 2"), {}
    shown = said.partition("Reasoning: ")[2]
    named = [land for land in ("Italy", "Peru") if land in shown]
    return 200, completion(f"Prediction: {named[0] if named else 'Norway'}."), {}


def test_a_rationale_below_the_gate_is_not_shown_and_its_question_is_answered_alone(
    guide, server: Server, written: None, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = follows
    code, rows = guide([*ROWS, THIRD], "--min-factuality", "0.6")
    assert code == 0 and [row["gated"] for row in rows] == [False, True, True]
    assert [row["answer"] for row in rows] == ["Italy", "Norway", "Norway"]
    assert rows[0]["factuality"] == 1 and rows[1]["factuality"] < 0.6
    assert rows[1]["rationale"].startswith("Ben lives in Lima"), "what was written stays"
    assert len(server.bodies) == 3 and not any("Lima" in str(body) for body in server.bodies)
    said = capsys.readouterr().out
    assert "gate: 2 of 3 rationales not shown to the reader (factuality below 0.6)" in said
    assert "gated: em = 66.7" in said and "guided" not in said.split("gated: ")[1]


def test_with_compare_the_gate_says_what_it_gained_at_no_further_call(
    guide, server: Server, written: None, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = follows
    code, rows = guide([*ROWS, THIRD], "--min-factuality", "0.6", "--compare")
    assert code == 0 and len(server.bodies) == 6
    assert [row["answer_guided"] for row in rows] == ["Italy", "Peru", "Norway"]
    assert [row["answer_without"] for row in rows] == ["Norway", "Norway", "Norway"]
    assert [row["correct"] for row in rows] == [True, True, False]
    assert [row["correct_guided"] for row in rows] == [True, False, False]
    said = capsys.readouterr()
    assert "6 requests: 6 calls" in said.err
    for line in ("gated: em = 66.7", "guided: em = 33.3", "alone: em = 33.3"):
        assert line in said.out
    gained = said.out.partition("gated - guided: ")[2].splitlines()
    assert gained[0].startswith("+33.3") and gained[1].startswith("right->right 1")
    assert "wrong->right 1" in gained[1] and "gated - alone: " in said.out
    assert guide([*ROWS, THIRD], "--min-factuality", "0.6", "--compare")[0] == 0
    assert len(server.bodies) == 6, "nothing is asked twice"


def test_a_chat_model_judges_for_the_gate_within_the_same_limits(
    guide, server: Server, written: None, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = follows
    judged = ["--min-factuality", "0.5", "--judge", "endpoint:judge"]
    assert guide([*ROWS, THIRD], *judged, "--dry-run") == (0, [])
    assert "judge, without the rationales: judge at" in capsys.readouterr().err
    assert guide([*ROWS, THIRD], *judged, "--max-calls", "4") == (2, [])
    assert len(server.bodies) == 4 and "replies did not come" in capsys.readouterr().err
    code, rows = guide([*ROWS, THIRD], *judged, "--max-calls", "6")
    assert code == 0 and len(server.bodies) == 6, "it continued"
    assert [row["factuality"] for row in rows] == [1.0, 0.25, 0.25]
    models = [body["model"] for body in server.bodies]
    assert models.count("judge") == 3 and models.count("m") == 3


def test_what_the_judge_cannot_rate_is_held_back_and_counted(
    guide, server: Server, written: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: dict, times: int) -> tuple[int, object, dict]:
        if "Rationale: Ben" in str(body):
            return 200, completion("Well."), {}
        return follows(body, times)

    server.answer = answer
    code, rows = guide([*ROWS, THIRD], "--min-factuality", "0.1", "--judge", "endpoint:j")
    assert code == 0 and [row["gated"] for row in rows] == [False, True, False]
    assert rows[1]["factuality"] is None
    assert "1 of them without a readable rating" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (ROWS, ["--judge", "endpoint:m"], "--judge endpoint:m: has no effect without --min-fact"),
        (ROWS, ["--min-factuality", "1.5"], "'--min-factuality'"),
        (ROWS, ["--min-factuality", "0.5", "--judge", "lexcal"], "Did you mean 'lexical'"),
        (ROWS, ["--judge", "lexical"], "--judge lexical: has no effect without --min-factuality"),
        (
            [{"id": "x", "question": "3 x 4?", "answer": "12"}],
            ["--min-factuality", "0.5", "--task", "numbers"],
            "x: no context, against which factuality is measured",
        ),
    ],
)
def test_a_gate_that_cannot_judge_is_one_line_before_any_call(
    guide,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict],
    options: list[str],
    message: str,
) -> None:
    assert guide(rows, *options) == (2, [])
    error = capsys.readouterr().err
    assert message in error and not server.bodies and "Traceback" not in error
