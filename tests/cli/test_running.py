"""`smallsteps compare`, `run`, `demo` and `recipes`: what is run, planned or refused."""

from __future__ import annotations

import json

from smallsteps.cli.main import main
from smallsteps.experiment.data_parts import store_parts
from smallsteps.experiment.method import methods
from smallsteps.experiment.recipe_schema import recipe_schema
from smallsteps.experiment.results import read_results
from smallsteps.experiment.settings import DataSettings
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows


def test_compare_on_own_data_names_the_best_student(chains, uni_student, tmp_path, capsys):
    out = tmp_path / "run"
    command = [
        "compare",
        str(chains),
        "--student",
        str(uni_student),
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
    assert "best student" in said.out
    assert "Only 3 test problems: the intervals are wide." in " ".join(said.out.split())
    results = read_results(out)
    assert results.arms and all(arm.train_tokens and arm.seconds for arm in results.arms)
    assert (out / results.best.folder / "config.json").is_file()
    assert (out / "report.html").is_file()


def test_feedback_is_planned_and_a_missing_file_is_refused(chains, tmp_path, capsys):
    judgement = {
        "id": "new",
        "question": "Di has 2 keys and finds 3. How many keys?",
        "rationale": "Six. The answer is 6.",
        "answer": "6",
        "verdict": "wrong",
        "edited": "2 + 3 = 5. The answer is 5.",
        "student": "bundled",
        "time": "2026-01-31T12:00:00+00:00",
    }
    file = tmp_path / "feedback.jsonl"
    file.write_text(json.dumps(judgement) + "\n", encoding="utf-8")
    command = ["compare", str(chains), "--student", "bundled", "--arms", "direct", "--dry-run"]
    assert main([*command, "--feedback", str(file)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sizes: 25 chains to train on, 3 for validation, 3 problems" in said
    assert "feedback feedback.jsonl: 1 row; used: right chain of a new question (1)" in said
    assert "feedback gives: 1 chain to learn from, 1 new question" in said
    assert main([*command, "--feedback", str(tmp_path / "none.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "error: --feedback: " in error and "none.jsonl" in error and "no such file" in error
    file.write_text(json.dumps({**judgement, "edited": None}) + "\n", encoding="utf-8")
    assert main([*command, "--feedback", str(file)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "error: --feedback: feedback.jsonl: 1 row, and nothing is used for the task" in error
    file.write_text(json.dumps({**judgement, "verdict": "bad"}) + "\n", encoding="utf-8")
    assert main([*command, "--feedback", str(file)]) == 2
    assert "feedback.jsonl:1: field 'verdict' must be right or wrong" in capsys.readouterr().err


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


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--dry-run"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "learning_rate" in out and "sizes: 300 chains to train on, 150 for validation" in out
    budget = (
        "budget: at most 300,000 training tokens an arm; 3 trained arms x 1 seed: at most 900,000"
    )
    assert budget in out
    assert list(tmp_path.iterdir()) == []


def test_questions_of_the_test_file_that_stand_in_training_are_refused(
    chains, uni_student, tmp_path, capsys
):
    command = [
        "compare",
        str(chains),
        "--student",
        str(uni_student),
        "--out",
        str(tmp_path / "run"),
        "--set",
        f"data.test={chains}",
    ]
    assert main(command) == 2
    assert "training" in capsys.readouterr().err


def test_foreign_folders_are_left_alone(chains, uni_student, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert (
        main(
            ["compare", str(chains), "--student", str(uni_student), "--out", str(tmp_path / "run")]
        )
        == 2
    )
    assert "is not a smallsteps run" in capsys.readouterr().err


def test_the_schema_is_printed_as_json(capsys):
    assert main(["recipes", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == recipe_schema()


def test_recipes_with_arms_lists_every_arm_of_every_method_with_what_it_is(capsys):
    assert main(["recipes", "--arms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.strip()}
    names = [name for method in methods().values() for name in method.arm_names()]
    assert set(names) <= set(shown)
    assert shown["self-training"] == "learns whole chains, then its own right chains"
    assert all(shown[name] for name in names)


def test_recipes_lists_every_bundled_recipe_with_what_it_is_for(capsys):
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert "as-es/gsm8k" in shown and "Pre-trains the bundled student" in shown


def test_chains_that_contradict_their_answer_are_kept_and_counted(tmp_path, capsys):
    """Two end in "= 36", without a closing that says so, and their answer is 99."""
    rows = [
        {"id": str(n), "question": f"What is 4 * 9 + {n}?", "rationale": "4 * 9 = 36", "answer": a}
        for n, a in enumerate(["99", "99", *["36"] * 28])
    ]
    file = tmp_path / "c.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["compare", str(file), "--student", "bundled", "--arms", "direct", "--dry-run"]
    assert main(command) == 0
    assert "2 chains whose last number is not their answer" in capsys.readouterr().out
    lines: list[str] = []
    facts = store_parts(DataSettings(chains=str(file)), get_task("numbers"), tmp_path, lines.append)
    assert (facts["chains"], facts["wrong"], facts["contradicting"]) == (30, 0, 2)
    assert lines[-1] == (
        "2 chains whose last number is not their answer (0, 1); kept, with a closing that states "
        "the answer"
    )


def test_a_plan_that_is_refused_prints_the_error_alone(tmp_path, capsys):
    """The trap: the whole recipe stands above the line that matters."""
    file = tmp_path / "mine.jsonl"
    write_rows(file, [{"foo": f"{n} + 4?", "bar": "The answer is 7."} for n in range(12)])
    command = ["compare", str(file), "--student", "bundled", "--arms", "direct", "--dry-run"]
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ")
    assert len(said.err.strip().splitlines()) == 1
