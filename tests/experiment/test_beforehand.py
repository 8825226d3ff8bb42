"""What cannot be run is refused before any work, by `--dry-run` and by the run alike."""

import json
import re

import pytest

from smallsteps.cli.main import main
from smallsteps.errors import RecipeError
from smallsteps.experiment.beforehand import check_recipe
from smallsteps.experiment.recipe import load_recipe
from smallsteps.experiment.run import run
from smallsteps.generation.access import Access

REFUSED = {
    # students
    (
        "demo",
        "student.scratch={layers: 0}",
    ): "student.scratch.layers: expected a whole number of at least 1, got 0.",
    (
        "demo",
        "student.scratch={layers: -1}",
    ): "student.scratch.layers: expected a whole number of at least 1, got -1.",
    (
        "demo",
        "student.scratch={layers: 1.5}",
    ): "student.scratch.layers: expected a whole number of at least 1",
    (
        "demo",
        "student.scratch={heads: true}",
    ): "student.scratch.heads: expected a whole number of at least 1, got true",
    (
        "demo",
        "student.scratch={d_model: x}",
    ): "student.scratch.d_model: expected a whole number of at least 1",
    ("demo", "student.scratch={d_ff: [8]}"): "student.scratch.d_ff: expected a whole number",
    (
        "demo",
        "student.scratch={layer: 1}",
    ): "unknown key 'student.scratch.layer'. Did you mean 'layers'?",
    (
        "demo",
        "student.scratch={vocabulary: 10}",
    ): "student.scratch.vocabulary: expected a whole number from 262",
    (
        "demo",
        "student.scratch={dropout: .nan}",
    ): "student.scratch.dropout: expected a number of at least 0 and below 1",
    (
        "demo",
        "student.scratch={neighbours: 3}",
    ): "student.scratch.neighbours: expected true or false, got 3",
    (
        "demo",
        "student.scratch={tokenizer: words}",
    ): "student.scratch.tokenizer: expected one of bytes, characters, got 'words'",
    ("demo", "student.lora=161"): "student.lora: a rank of 161 is beyond the model's width, 160.",
    (
        "demo",
        "student.scratch={d_model: 32}",
        "student.lora=33",
    ): "student.lora: a rank of 33 is beyond the model's",
    ("demo", "student.name=./nope"): "student.name: ./nope: no such folder",
    ("demo", "student.name=."): "student.name: .: expected a Hugging Face model folder",
    ("demo", "student.device=foo"): "student.device foo: no such device.",
    # training
    ("demo", "train.report_to=[foo]"): "train.report_to: no tracker 'foo'.",
    ("demo", "train.report_to=[wanb]"): "Did you mean 'wandb'?",
    # data and arms
    ("demo", "data.task=storys"): "data.task: no task 'storys'. Did you mean 'stories'?",
    (
        "demo",
        "data.task=gsm8k",
    ): "the bundled chains belong to the tasks `stories` and `facts`, not 'gsm8k'",
    (
        "demo",
        "data.chains=no.jsonl",
    ): "data.chains: no.jsonl: no such file. Check the path. Type data.chains=PATH.",
    ("demo", "data.chains=."): "data.chains: .: a folder, not a file. ",
    ("demo", "data.chains=" + "x" * 300): "data.chains: xxx",
    ("demo", "data.chains=[bundled, bundled]"): "data.chains: bundled: no such file",
    ("demo", "data.validation=no.jsonl"): "data.validation: no.jsonl: no such file",
    ("demo", "data.test=no.jsonl"): "data.test: no.jsonl: no such file",
    ("demo", "data.also_test={gsm9k: x}"): "data.also_test: no task 'gsm9k'. Did you mean 'gsm8k'?",
    ("demo", "data.also_test={gsm8k: no.jsonl}"): "data.also_test.gsm8k: no.jsonl: no such file",
    ("as-es/gsm8k",): "data.chains: data/gsm8k_cot/train.jsonl: no such file",
    ("demo", "sweep.gamma=[1]"): "sweep.gamma leaves out normal regions of reports",
    ("demo", "arms=[direct-report]"): "the arm direct-report is for reports",
    # teachers and readers
    (
        "tailored/demo",
        "tailored.teacher.name=./x",
    ): "tailored.teacher: the teacher ./x: no such file or folder",
    (
        "tailored/demo",
        "tailored.teacher.name=x.jsonl",
    ): "tailored.teacher.name: x.jsonl: no such file.",
    (
        "tailored/demo",
        "tailored.teacher.name=m",
        "tailored.teacher.feedback=feedbak",
    ): "tailored.teacher.feedback: prompt 'feedbak': no such file. Did you mean 'feedback'?",
    (
        "tailored/demo",
        "tailored.teacher.name=m",
        "tailored.teacher.base_url=ftp://x",
    ): "tailored.teacher.base_url: the URL 'ftp://x': expected http://",
    (
        "tailored/demo",
        "tailored.rationales=2",
        "tailored.teacher.temperature=0",
    ): "needs tailored.teacher.temperature above 0",
    ("guided/demo", "guided.judge=./nope"): "guided.judge: ./nope: no such folder",
    ("guided/demo", "guided.encoder=."): "guided.encoder: .: expected a Hugging Face model folder",
    ("guided/demo", "guided.reader.cot=nope"): "guided.reader.cot: prompt 'nope': no such file.",
    (
        "guided/demo",
        "guided.reader.name=./r",
    ): "guided.reader: the reader ./r: no such file or folder.",
    (
        "guided/demo",
        "guided.reader.name=m",
        "guided.reinforce.uplift=true",
    ): "need the reader's weights",
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """An empty folder, and no server."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "work"


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: ascii(" ".join(words)[:60]))
def test_a_plan_refuses_in_one_line_what_the_run_refuses(nowhere, capsys, words):
    lines = []
    for more in (["--dry-run"], ["--out", "deep/run"]):
        assert main(["run", *words, *more]) == 2
        lines.append(capsys.readouterr().err)
    assert lines[0] == lines[1]
    assert REFUSED[words] in lines[0]
    assert lines[0].count("\n") == 1
    assert not list(nowhere.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("rows", [0, 1])
def test_a_plan_reads_the_data_as_the_run_does(nowhere, capsys, rows):
    lines = [
        {
            "id": f"{n}",
            "question": f"What is {n} + 1?",
            "rationale": f"It is {n + 1}.",
            "answer": str(n + 1),
        }
        for n in range(rows)
    ]
    (nowhere / "my.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["run", "demo", "data.chains=my.jsonl", "data.task=numbers"]
    errors = []
    for more in (["--dry-run"], ["--out", "run"]):
        assert main([*words, *more]) == 2
        errors.append(capsys.readouterr().err.splitlines()[-1])
    assert errors[0] == errors[1]
    assert [path.name for path in nowhere.iterdir()] == ["my.jsonl"]


def test_the_plan_of_a_recipe_that_is_refused_is_shown_all_the_same(capsys):
    assert main(["run", "as-es/gsm8k", "--dry-run"]) == 2
    assert "learning_rate:" in capsys.readouterr().out


def test_a_tracker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        RecipeError, match=re.escape("wandb is not installed. Type pip install wandb")
    ):
        check_recipe(load_recipe("demo", ["train.report_to=[wandb]"]))


def test_python_refuses_the_same(nowhere):
    with pytest.raises(RecipeError, match=r"data\.chains: no\.jsonl"):
        run(load_recipe("demo", ["data.chains=no.jsonl"]), nowhere / "run")
    assert not list(nowhere.iterdir())


def test_data_that_the_run_folder_holds_is_not_looked_for():
    check_recipe(load_recipe("demo", ["data.chains=gone.jsonl"]), data_is_there=True)


def test_a_server_of_the_users_own_may_call_its_model_by_a_path():
    recipe = load_recipe("tailored/demo", ["tailored.teacher.name=/models/llama"])
    check_recipe(recipe, Access(base_url="http://localhost:8000/v1"))
