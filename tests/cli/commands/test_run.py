from __future__ import annotations

from pathlib import Path

from smallsteps.cli.running import Execution

COMPARE = "smallsteps.cli.running.compare_file"
RUN = "smallsteps.cli.running.run_recipe"


def test_demo_is_the_recipe_demo(passed):
    assert passed(RUN, "demo", "--threads", "2") == (
        "demo",
        [],
        Path("runs/demo"),
        Execution(2),
        False,
    )


def test_run_passes_changes_on(passed):
    arguments = ["run", "as-es/gsm8k", "a=1", "b=2", "--out", "o", "--dry-run"]
    arguments += ["--only", "direct@0", "--only", "base@0"]
    execution = Execution(None, ("direct@0", "base@0"))
    assert passed(RUN, *arguments) == ("as-es/gsm8k", ["a=1", "b=2"], Path("o"), execution, True)


def test_compare_makes_a_recipe_of_its_options(passed):
    options = "--student s --arms direct,ases-uni-ent, --seeds 3 --budget 99 --passes 2.5 "
    options += (
        "--task gsm8k --columns rationale=cot --device cpu --set train.evaluations=1 --out o "
    )
    options += "--feedback f.jsonl --feedback g.jsonl"
    content, changes, out, execution, dry_run = passed(
        COMPARE, "compare", "dir/my.jsonl", *options.split()
    )
    assert content == {
        "title": "my.jsonl with s",
        "arms": ["direct", "ases-uni-ent"],
        "seeds": [0, 1, 2],
        "data": {
            "chains": "dir/my.jsonl",
            "task": "gsm8k",
            "columns": {"rationale": "cot"},
            "feedback": ["f.jsonl", "g.jsonl"],
        },
        "student": {"name": "s", "device": "cpu"},
        "train": {"budget": 99, "passes": 2.5},
    }
    assert (changes, out, dry_run) == (["train.evaluations=1"], Path("o"), False)
    assert execution == Execution(None)


def test_the_title_of_a_comparison_names_no_folder_of_the_machine(passed, tmp_path):
    student = tmp_path / "secret" / "student-7"
    student.mkdir(parents=True)
    content, *_ = passed(
        COMPARE,
        "compare",
        str(tmp_path / "secret" / "my.jsonl"),
        "--student",
        str(student),
        "--out",
        "r",
    )
    assert content["title"] == "my.jsonl with student-7"
    assert content["student"]["name"] == str(student), "it is still read from there"


def test_recipes_takes_nothing(passed):
    assert passed("smallsteps.cli.running.list_recipes", "recipes") == ()


def test_recipes_with_arms_lists_them_instead(passed):
    assert passed("smallsteps.cli.running.list_arms", "recipes", "--arms") == ()


def test_recipes_with_schema_prints_it_instead(passed):
    assert passed("smallsteps.cli.running.print_schema", "recipes", "--schema") == ()
