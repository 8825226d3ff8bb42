"""`smallsteps quality` as a person types it."""

from __future__ import annotations

import json

import pytest

from loopback import completion
from smallsteps.cli.main import main
from smallsteps.quality.aspects import ASPECTS
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import write_rows


@pytest.fixture
def rationales(tmp_path):
    rows = [
        {
            "id": c.problem.id,
            "question": c.problem.question,
            "context": c.problem.context,
            "rationale": c.rationale.text,
        }
        for c in make_chains(12, 3)
    ]
    rows[5]["rationale"] = ""
    write_rows(tmp_path / "r.jsonl", rows)
    return tmp_path / "r.jsonl"


def scored(source, *options):
    out = source.with_name("q.jsonl")
    code = main(["quality", str(source), "--task", "facts", "--out", str(out), *options])
    return code, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def test_a_row_for_each_with_null_where_something_is_missing(rationales, capsys):
    code, rows = scored(rationales)
    assert code == 0 and [row["id"] for row in rows] == [f"facts-3-{n}" for n in range(12)]
    assert all(set(row) == {"id", *ASPECTS} for row in rows)
    assert all(row["fluency"] is None and row["naturalness"] is None for row in rows)
    assert rows[5]["factuality"] == 0 and rows[0]["factuality"] > 0.8
    assert "needs --student" in capsys.readouterr().out
    code, rows = scored(rationales, "--student", "bundled", "--reference", str(rationales))
    assert code == 2, "a reference without text is none"
    whole = rationales.with_name("whole.jsonl")
    whole.write_text(
        "".join(
            line + "\n"
            for line in rationales.read_text().splitlines()
            if '"rationale": ""' not in line
        )
    )
    code, rows = scored(rationales, "--student", "bundled", "--reference", str(whole))
    assert code == 0 and all(0 <= row[name] <= 1 for row in rows for name in ASPECTS)


def test_rationales_without_contexts_are_scored_as_far_as_they_can_be(tmp_path, capsys):
    rows = [
        {
            "id": "a",
            "question": "How many pens are 3 x 4?",
            "rationale": "There are 3 x 4 = 12. The answer is 12.",
        }
    ]
    write_rows(tmp_path / "r.jsonl", rows)
    out = tmp_path / "q.jsonl"
    assert main(["quality", str(tmp_path / "r.jsonl"), "--task", "numbers", "--out", str(out)]) == 0
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    needs = ("factuality", "relevance", "logicality", "consistency")
    assert (
        [row[name] for name in needs] == [None] * 4
        and row["coherence"] > 0
        and row["readability"] > 0
    )
    assert capsys.readouterr().out.count("needs a context") == 4


FACTS = "'supporting_facts' must be a list of [title, number of the sentence from 0]"
CONTEXT = "'context' must be a list of paragraphs"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": []}, "no context"),
        ({"context": None}, "no context"),
        ({"context": 5}, CONTEXT),
        ({"context": True}, CONTEXT),
        ({"context": [[]]}, CONTEXT),
        ({"context": [[1, ["Ann."]]]}, CONTEXT),
        ({"context": [["Ann", [1]]]}, CONTEXT),
        ({"context": [["Ann", ["Ann."], 3]]}, CONTEXT),
        (
            {"context": {"title": ["Ann"], "sentences": [["a"], ["b"]]}},
            "1 titles and 2 lists of sentences",
        ),
        ({"context": [["Ann", ["half \ud800 a character"]]]}, "'context' holds half a character"),
        ({"question": "half \ud800?"}, "'question' holds half a character"),
        ({"rationale": "half \udc00."}, "'rationale' holds half a character"),
        ({"supporting_facts": 5}, FACTS),
        ({"supporting_facts": True}, FACTS),
        ({"supporting_facts": "Ann"}, FACTS),
        ({"supporting_facts": [1, 2]}, FACTS),
        ({"supporting_facts": [["Ann", 0.5]]}, FACTS),
        ({"rationale": None}, "no field 'rationale'"),
        ({"rationale": 5}, "'rationale' must be text"),
        ({"rationale": "  "}, "'rationale' is empty"),
        ({"question": ""}, "'question' is empty"),
        ({"question": 7}, "'question' must be text"),
        ({"id": [1]}, "'id' must be text or a number"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(rationales, change, message, capsys):
    rows = [json.loads(line) for line in rationales.read_text().splitlines()]
    # json.dumps writes half a character as an escape, which is how such rows come
    rationales.write_text(json.dumps(rows[0]) + "\n" + json.dumps({**rows[1], **change}) + "\n")
    assert scored(rationales) == (2, [])
    said = capsys.readouterr().err
    assert message in said and "r.jsonl:2" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge", "STUDENT"], "is no model of natural-language inference (t5): its labels are"),
        (
            ["--judge", "CAUSAL"],
            "is no model of natural-language inference (llama): its labels are",
        ),
        (["--judge", "nowhere/at/all"], "judge nowhere/at/all: no such folder"),
        (
            ["--judge", "nobody/nothing"],
            "judge nobody/nothing: no such folder, and config.json could not be fetched",
        ),
        (
            ["--judge", "SOURCE"],
            "expected a model folder, a GGUF file or a hub name, got another file",
        ),
        (["--judge", "EMPTY"], "no config.json"),
        (["--judge", ""], "--judge: the model's name is empty"),
        (["--judge", "endpoint:"], "endpoint: names no model. Type endpoint:MODEL"),
        (["--base-url", "http://localhost:1/v1"], "has no effect beside --judge lexical"),
        (["--judge", "lexcal"], "Did you mean 'lexical'"),
        (["--encoder", "STUDENT"], "this is an encoder-decoder (t5), expected a sentence encoder"),
        (
            ["--encoder", "CAUSAL"],
            "this is a causal language model (llama), expected a sentence encoder",
        ),
        (["--encoder", "./nowhere"], "encoder ./nowhere: no such folder"),
        (["--student", "./nowhere"], "./nowhere: no such folder"),
        (["--student", "EMPTY"], "no config.json"),
        (["--device", "foo"], "--device foo: no such device"),
        (["--threads", "0"], "--threads 0"),
        (["--task", "fact"], "no task 'fact'. Did you mean 'facts'"),
        (["--reference", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--reference", "EMPTY"], "a folder, not a file"),
        (["--reference", "OTHER"], "other.jsonl:1 (line-000001): no field 'question'"),
        (["--reference", "BARE"], "bare.jsonl:1 (x): no context"),
        (["--reference", "NOTHING"], "nothing.jsonl: the file is empty"),
    ],
)
def test_options_that_cannot_be_are_one_line_before_anything_is_scored(
    rationales, tmp_path, tiny, monkeypatch, capsys, options, message
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("smallsteps.quality.scorer.Scorer.score", lambda *_: pytest.fail("scored"))
    if "CAUSAL" in options:
        tiny("llama").save(tmp_path / "causal")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "bare.jsonl").write_text('{"id": "x", "question": "Who?", "rationale": "Ann."}\n')
    (tmp_path / "nothing.jsonl").write_text("")
    places = {
        "STUDENT": "bundled",
        "CAUSAL": str(tmp_path / "causal"),
        "SOURCE": str(rationales),
        "EMPTY": str(tmp_path / "empty"),
        "OTHER": str(tmp_path / "other.jsonl"),
        "BARE": str(tmp_path / "bare.jsonl"),
        "NOTHING": str(tmp_path / "nothing.jsonl"),
    }
    assert scored(rationales, *(places.get(option, option) for option in options)) == (2, [])
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Traceback" not in said


@pytest.mark.parametrize("context", [None, "", [["Ann", [" "]]]], ids=["missing", "empty", "blank"])
def test_without_a_context_a_task_that_needs_none_is_proposed(tmp_path, capsys, context):
    row = {"id": "a", "question": "How many?", "rationale": "The answer is 12.", "context": context}
    write_rows(tmp_path / "r.jsonl", [{k: v for k, v in row.items() if v is not None}])
    assert main(["quality", str(tmp_path / "r.jsonl"), "--out", str(tmp_path / "q.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "r.jsonl:1" in error and "Add a `context`" in error
    assert "Or name a task without contexts (--task numbers)" in error
    assert "coherence, fluency, naturalness, readability" in error


# ---- a chat model as the judge ----


@pytest.fixture
def judged(rationales, server, tmp_path, monkeypatch):
    """Runs `quality` with a served judge; (exit code, rows)."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    server.answer = lambda body, times: (200, completion("Score: 4"), {})
    store = str(tmp_path / "replies.sqlite")

    def run(*options):
        model = ["--judge", "endpoint:m", "--base-url", server.url, "--store", store]
        return scored(rationales, *model, *options)

    return run


def test_a_chat_model_judges_seven_aspects_and_is_paid_once(judged, server, capsys):
    code, rows = judged()
    assert code == 0 and server.calls == 11 * 7, "the empty rationale costs nothing"
    assert rows[0] == {
        "id": "facts-3-0",
        **dict.fromkeys(ASPECTS, 0.75),
        "readability": rows[0]["readability"],
    }
    assert rows[5]["factuality"] == 0 and rows[5]["fluency"] == 0
    said = capsys.readouterr()
    assert "77 calls, 770 tokens" in said.out and "77 requests: 77 calls" in said.err
    assert judged()[0] == 0 and server.calls == 77


def test_a_dry_run_forecasts_and_asks_nobody(judged, server, capsys):
    assert judged("--dry-run", "--aspect", "factuality") == (0, [])
    assert "11 requests: 11 calls" in capsys.readouterr().err and not server.calls


def test_a_limit_ends_the_job_and_the_next_one_continues(judged, server, capsys):
    assert judged("--max-calls", "30") == (2, [])
    error = capsys.readouterr().err
    assert "judge 'm': 47 of 77 replies did not come" in error and server.calls == 30
    assert judged()[0] == 0 and server.calls == 77


def test_unreadable_ratings_are_null_and_counted(judged, server, capsys):
    def answer(body, times):
        text = body["messages"][1]["content"]
        return 200, completion("Well." if "its fluency" in text else "Score: 2"), {}

    server.answer = answer
    code, rows = judged("--aspect", "fluency", "--aspect", "coherence")
    assert code == 0 and rows[0]["fluency"] is None and rows[0]["coherence"] == 0.25
    said = capsys.readouterr().out
    assert "fluency: 11 of 11 ratings could not be read and are null" in said
    assert "factuality" not in said, "it was not wanted"


def test_a_judge_that_never_rates_is_one_line_and_writes_nothing(judged, server, capsys):
    server.answer = lambda body, times: (200, completion("Well."), {})
    assert judged("--aspect", "fluency") == (2, [])
    assert "not one of 11 ratings could be read" in capsys.readouterr().err


def test_prompts_of_the_user_are_asked(judged, server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/fluency.txt").write_text("[user]\nFluent? {{ rationale }}")
    judged("--judge-prompts", str(tmp_path / "mine"), "--aspect", "fluency")
    assert all(body["messages"][0]["content"].startswith("Fluent? ") for body in server.bodies)


# ---- what is written ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to write: name --out FILE for scores, --sheet FILE"),
        (["--out", "q", "--sheet", "s"], "--sheet and --out: a sheet is written alone"),
        (["--ratings", "r", "--sheet", "s"], "--sheet and --ratings: a sheet is written alone"),
        (["--out", "q", "--scores", "s"], "--scores: has no effect without --ratings"),
        (["--out", "q", "--seed", "0"], "--seed: has no effect without --sheet"),
        (["--out", "q", "--raters", "2"], "--raters: has no effect without --sheet"),
        (["--out", "q", "--aspect", "fluent"], "no such aspect. Did you mean 'fluency'"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(rationales, capsys, options, message):
    assert main(["quality", str(rationales), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
