"""The command line: rows of the stated shapes, exit codes, and one clear line for whatever the user
can fix."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from smallsteps.cli.main import main
from smallsteps.experiment.results import read_results
from smallsteps.students.scratch import ScratchSettings, from_scratch
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains


def rows_of(chains):
    return [
        {
            "id": c.problem.id,
            "question": c.problem.question,
            "rationale": c.rationale.text,
            "answer": c.problem.answer,
        }
        for c in chains
    ]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def chains(tmp_path):
    return write(tmp_path / "chains.jsonl", rows_of(make_chains(30, seed=3, difficulty="easy")))


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student that has learnt nothing, saved for uni-path."""
    texts = [c.rationale.text for c in make_chains(30, seed=3)]
    made = from_scratch(
        texts, ScratchSettings(vocabulary=400, d_model=32, d_kv=8, heads=4, d_ff=32, layers=1)
    )
    prepare(made, get_task("numbers"), path="uni")
    return made.save(tmp_path_factory.mktemp("student") / "student")


# ---- contract ----


@pytest.mark.parametrize("strategy", ["inter", "bleu", "rouge"])
def test_segment_writes_one_row_a_chain_whose_segments_joined_are_the_chain(
    chains, tmp_path, strategy, capsys
):
    out = tmp_path / "segments.jsonl"
    assert main(["segment", str(chains), "--strategy", strategy, "--out", str(out)]) == 0
    rows = read(out)
    assert [row["id"] for row in rows] == [row["id"] for row in read(chains)]
    for row in rows:
        assert "".join(s["text"] for s in row["segments"]) == row["chain"]
        assert {s["kind"] for s in row["segments"]} <= {"ES", "AS"}
        assert row["chain"].endswith(f"The answer is {row['answer']}.")
    said = capsys.readouterr().out
    assert "30 chains" in said and "[ES]" in said


def test_segment_tells_how_far_it_is_and_blocks_change_nothing(
    chains, tmp_path, monkeypatch, capsys
):
    assert (
        main(
            ["segment", str(chains), "--strategy", "rouge", "--out", str(tmp_path / "whole.jsonl")]
        )
        == 0
    )
    monkeypatch.setattr("smallsteps.cli.segmenting.CHAINS_PER_UPDATE", 7)
    assert (
        main(["segment", str(chains), "--strategy", "rouge", "--out", str(tmp_path / "out.jsonl")])
        == 0
    )
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert capsys.readouterr().err.splitlines()[-2:] == ["segmenting: 23%", "segmenting: 100%"]


def test_segment_shows_escape_sequences_and_markup_of_rows_and_obeys_none(tmp_path, capsys):
    row = {
        "id": "a[/b]\x1b[2J",
        "question": "3 :smile: \x1b]0;x\x07[red]4?",
        "rationale": "So \x1b[31m7.",
        "answer": 7,
    }
    out = tmp_path / "a[/b]c" / "o.jsonl"
    assert main(["segment", str(write(tmp_path / "in.jsonl", [row])), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert (
        "a[/b]␛[2J: 3 :smile: ␛]0;x␇[red]4?" in said and "So ␛[31m7." in said and "\x1b" not in said
    )
    assert f"written: {out}" in said and read(out)[0]["id"] == row["id"]


def test_segment_adds_the_closing_or_keeps_the_chain(tmp_path):
    source = write(
        tmp_path / "in.jsonl",
        [{"id": "1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": 7}],
    )
    for closing, chain in (("add", "So 3 + 4 = 7. The answer is 7."), ("keep", "So 3 + 4 = 7.")):
        assert (
            main(
                ["segment", str(source), "--closing", closing, "--out", str(tmp_path / "out.jsonl")]
            )
            == 0
        )
        assert read(tmp_path / "out.jsonl")[0]["chain"] == chain


def test_segment_tells_the_agreement_with_gold_labels(tmp_path, capsys):
    rows = rows_of(make_chains(20, seed=4))
    for row, chain in zip(rows, make_chains(20, seed=4), strict=True):
        row["segments"] = [{"kind": kind, "text": text} for kind, text in chain.rationale.gold]
    source = write(tmp_path / "in.jsonl", rows)
    assert (
        main(["segment", str(source), "--strategy", "rouge", "--out", str(tmp_path / "out.jsonl")])
        == 0
    )
    assert "against gold labels" in capsys.readouterr().out


def test_solve_writes_rows_in_order_and_grade_reads_them(chains, student, tmp_path, capsys):
    out = tmp_path / "answers.jsonl"
    assert main(["solve", str(student), str(chains), "--out", str(out), "--batch-size", "8"]) == 0
    rows = read(out)
    assert [row["id"] for row in rows] == [row["id"] for row in read(chains)]
    for row in rows:
        assert set(row) >= {"id", "text", "segments", "answer", "stopped"}
        assert row["stopped"] in ("stop_sign", "end", "limit", "empty")
    capsys.readouterr()
    assert main(["grade", str(out), str(chains), "--task", "numbers"]) == 0
    assert "acc = " in capsys.readouterr().out
    assert main(["grade", str(out), str(chains), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (
        score["n"] == 30
        and score["metric"] == "accuracy"
        and 0 <= score["low"] <= score["value"] <= score["high"] <= 100
    )


def test_solve_shows_a_question_segment_by_segment(student, capsys):
    assert main(["solve", str(student), "Ann has 3 pens. How many?"]) == 0
    assert "stopped by" in capsys.readouterr().out


def test_compare_on_own_data_names_the_best_student(chains, student, tmp_path, capsys):
    out = tmp_path / "run"
    command = [
        "compare",
        str(chains),
        "--student",
        str(student),
        "--out",
        str(out),
        "--budget",
        "2000",
        "--arms",
        "direct,ases-uni-inter",
        "--set",
        "train.evaluations=1",
    ]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "24 chains to train on, 3 for validation, 3 problems to test; overlap 0" in said.err
    assert (
        "best student" in said.out and "no difference between arms is clear" in said.out
    )  # of three problems
    results = read_results(out)
    assert results.arms and all(arm.train_tokens and arm.seconds for arm in results.arms)
    assert (out / results.best.folder / "config.json").is_file()
    assert (out / "report.html").is_file()


@pytest.mark.parametrize("name", ["my runs/a", "a[/b]c", "it's"])
def test_the_command_that_comes_next_can_be_pasted(name, tmp_path):
    from smallsteps.cli.run_summary import next_command
    from smallsteps.experiment.recipe import load_recipe

    out = tmp_path / name
    words = next_command(load_recipe("demo", []), out, out / "arms/direct-seed0")
    assert shlex.split(shlex.join(words)) == [
        "smallsteps",
        "solve",
        f"{out}/arms/direct-seed0",
        "your question",
    ]
    words = next_command(load_recipe("guided/demo", []), out, out / "seed0/both")
    assert words[:4] == ["smallsteps", "guide", "questions.jsonl", "--guide"] and words[6] == str(
        out / "reader"
    )


def test_a_tilde_in_an_output_is_the_home_folder(chains, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(["segment", str(chains), "--out=~/new/out.jsonl"]) == 0
    assert (tmp_path / "home" / "new" / "out.jsonl").is_file() and not (tmp_path / "~").exists()
    assert main(["segment", str(chains), "--out=~nobody-here/out.jsonl"]) == 2
    assert re.search("'--out'.*nobody-here", capsys.readouterr().err)


def test_a_plan_needs_no_folder_and_refuses_the_one_that_the_run_would_refuse(tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").write_text("mine")
    (tmp_path / "a.jsonl").write_text("{}")
    for out, message in (
        ("notes", "is not a smallsteps run"),
        ("a.jsonl", "expected a folder"),
    ):
        assert main(["demo", "--dry-run", "--out", str(tmp_path / out)]) == 2
        assert message in capsys.readouterr().err
    assert main(["run", "demo", "--dry-run"]) == 0
    assert main(["compare", str(tmp_path / "none.jsonl"), "--student", "bundled", "--dry-run"]) == 2
    assert "none.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["run", "demo", "--out", ""], ["demo", "--out="], ["run", "demo", "--out", " "]]
)
def test_an_empty_path_is_not_this_folder(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "'--out': is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--dry-run"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "learning_rate" in out and "sizes: 2,000 chains to train on, 100 for validation" in out
    assert "budget: 700,000 training tokens an arm; 3 arms x 1 seed: 2,100,000 in all" in out
    assert list(tmp_path.iterdir()) == []


# ---- bad input ----

GOOD = {"id": "q1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": "7"}
BAD_ROWS = {
    "empty file": ("", "empty"),
    "broken line": ('{"id": "q1"', "in.jsonl:1"),
    "no object": ("[1, 2]\n", "in.jsonl:1.*object"),
    "missing field": ('{"id": "q1", "question": "?"}\n', "rationale"),
    "wrong type": (
        '{"id": "q1", "question": ["?"], "rationale": "So.", "answer": "7"}\n',
        "question",
    ),
    "duplicate id": ((json.dumps(GOOD) + "\n") * 2, "q1"),
    "empty rationale": (json.dumps({**GOOD, "rationale": " "}) + "\n", "rationale"),
    "neither answer nor closing": (json.dumps({**GOOD, "answer": None}) + "\n", "answer"),
}


@pytest.mark.parametrize("case", list(BAD_ROWS))
def test_bad_rows_are_named_and_nothing_is_written(case, tmp_path, capsys):
    text, message = BAD_ROWS[case]
    source = tmp_path / "in.jsonl"
    source.write_text(text)
    assert main(["segment", str(source), "--out", str(tmp_path / "out.jsonl")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    assert re.search(message, error), error
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_wrong_encoding_says_how_to_convert(tmp_path, capsys):
    (tmp_path / "in.jsonl").write_bytes('{"id": "é"}\n'.encode("latin-1"))
    assert main(["segment", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def wrong_commands(chains, student, tmp_path):
    out = str(tmp_path / "out")
    return {
        "Did you mean 'rouge'": ["segment", str(chains), "--strategy", "roug", "--out", out],
        "Did you mean 'numbers'": ["segment", str(chains), "--task", "number", "--out", out],
        "needs a student|none was given": [
            "segment",
            str(chains),
            "--strategy",
            "ent",
            "--out",
            out,
        ],
        "no such file": ["segment", str(tmp_path / "chians.jsonl"), "--out", out],
        "--columns names 'question' twice, as 'q' and 'p'": [
            "segment",
            str(chains),
            "--columns",
            "question=q",
            "--columns",
            "question=p",
            "--out",
            out,
        ],
        "expected OUR=THEIRS": ["segment", str(chains), "--columns", "rationale", "--out", out],
        "no such folder": ["solve", "./nowhere", "How many?"],
        "name the file": ["solve", str(student), str(chains)],
        "Did you mean 'direct'": [
            "compare",
            str(chains),
            "--student",
            str(student),
            "--out",
            out,
            "--arms",
            "dirct",
        ],
        "learning_rate": [
            "compare",
            str(chains),
            "--student",
            str(student),
            "--out",
            out,
            "--set",
            "train.learning_rat=1",
        ],
        "no recipe": ["run", "demmo", "--out", out],
        "name the run folder": ["run", "demo"],
        "seeds": ["compare", str(chains), "--student", str(student), "--out", out, "--seeds", "0"],
    }


def test_wrong_commands_end_with_one_line_and_exit_code_2(chains, student, tmp_path, capsys):
    for message, command in wrong_commands(chains, student, tmp_path).items():
        assert main(command) == 2, command
        error = capsys.readouterr().err
        assert re.search(message, error), (message, error)
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").rglob("*.safetensors"))


def test_a_model_folder_without_tokenizer_says_what_to_save(student, tmp_path, capsys):
    folder = shutil.copytree(student, tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert main(["solve", str(folder), "How many?"]) == 2
    assert "tokenizer" in capsys.readouterr().err


def test_questions_of_the_test_file_that_stand_in_training_are_refused(
    chains, student, tmp_path, capsys
):
    command = [
        "compare",
        str(chains),
        "--student",
        str(student),
        "--out",
        str(tmp_path / "run"),
        "--set",
        f"data.test={chains}",
    ]
    assert main(command) == 2
    assert "training" in capsys.readouterr().err


def test_foreign_folders_are_left_alone(chains, student, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert (
        main(["compare", str(chains), "--student", str(student), "--out", str(tmp_path / "run")])
        == 2
    )
    assert "is not a smallsteps run" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_asks_for_a_report(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("smallsteps.cli.running.list_recipes", broken)
    assert main(["recipes"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: of ours" in said and "please report" in said


def test_an_interrupt_that_python_swallows_is_heard(monkeypatch, capsys):
    """One that comes while an object is being deleted."""

    class Unlucky:
        def __del__(self):
            raise KeyboardInterrupt

    def command(**_):
        Unlucky()
        for _ in range(100):
            time.sleep(0.02)

    monkeypatch.setattr("smallsteps.cli.main.app", command)
    assert main(["recipes"]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_an_interrupted_command_exits_with_130(tmp_path):
    command = [
        sys.executable,
        "-m",
        "smallsteps.cli.main",
        "run",
        "demo",
        "--out",
        str(tmp_path / "run"),
        "--threads",
        "1",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a job in the background ignores it
    )
    for _ in range(300):
        time.sleep(0.1)
        if (tmp_path / "run" / "data" / "manifest.json").exists():
            break
    process.send_signal(signal.SIGINT)
    try:
        said = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 130
    assert "run the same command again" in said and "Traceback" not in said


def test_multi_hop_answers_are_graded_by_the_official_figures(tmp_path, capsys):
    """Rows with id and answer alone are enough; figures by hand from the official definitions."""
    gold = [("a", "The Chief of Protocol"), ("b", "yes"), ("c", "New York City"), ("d", "1944")]
    said = {"a": "chief of protocol.", "b": "yes it is", "c": "New York", "d": None}
    rows = [
        {"id": id, "question": "Who?", "answer": answer, "context": "X is Y."}
        for id, answer in gold
    ]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "said.jsonl").write_text(
        "".join(json.dumps({"id": id, "answer": a}) + "\n" for id, a in said.items())
    )
    files = [str(tmp_path / "said.jsonl"), str(tmp_path / "gold.jsonl"), "--task", "hotpotqa"]
    assert main(["grade", *files, "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["metric"] == "exact_match" and score["value"] == 25.0 and score["unparsed"] == 1
    assert score["metrics"]["f1"]["value"] == pytest.approx(100 * (1 + 0 + 0.8 + 0) / 4), (
        "yes/no is all or nothing"
    )
    assert score["metrics"]["inclusion"]["value"] == 50.0
    assert main(["grade", *files]) == 0
    assert [line.split(" = ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "em",
        "f1",
        "incl",
    ]
