"""Benchmarks are run by hand and on machines with a GPU: here they are at least importable, and the
GPU script whole."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from smallsteps.experiment.recipe import load_recipe
from smallsteps.methods.guided.reader import read_off
from smallsteps.records import Chain, Prediction, Problem, Rationale
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_rows, write_rows
from smallsteps.teaching.prompts import read_prompt

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = sorted([*FOLDER.glob("*.py"), *FOLDER.glob("gpu/*.py")])


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch):
    """Benchmarks import each other by name, as Python lets scripts of one folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.syspath_prepend(str(FOLDER / "gpu"))


def imported(path: Path):
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_name_that_a_benchmark_imports_is_there(path):
    imported(path)


def test_the_gpu_report_names_scripts_that_take_its_options(tmp_path, monkeypatch):
    report = imported(FOLDER / "gpu/report.py")
    checked = 0
    for part in report.parts("cuda", False, tmp_path):
        for command in part.commands:
            script = Path(command[1])
            if script.suffix != ".py":
                continue  # pytest and smallsteps themselves
            module = imported(script)
            monkeypatch.setattr(sys, "argv", list(command[1:]))
            with pytest.raises(Parsed):
                monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
                module.main()
            checked += 1
    assert checked >= 10


class Parsed(Exception):
    pass


def parsed(parser: argparse.ArgumentParser, *_) -> None:
    _, unknown = parser.parse_known_args(sys.argv[1:])
    assert not unknown, unknown
    raise Parsed


def test_a_part_that_fails_or_hangs_does_not_stop_the_others(tmp_path):
    report = imported(FOLDER / "gpu/report.py")
    code = (
        "import os, json; open(os.environ['SMALLSTEPS_FIGURES'], 'a').write(json.dumps({figure}))"
    )
    figure = {"name": "speed", "value": 3.5, "rounds": [3.0, 4.0], "unit": "times", "wanted": "2"}
    commands = {
        "good": code.format(figure=figure),
        "bad": "raise SystemExit('it broke')",
        "slow": "import time; time.sleep(60)",
    }
    outcomes = [
        report.run_part(
            report.Part(name, ((sys.executable, "-c", text),), 20),
            1.0 if name == "slow" else 20,
            {},
        )
        for name, text in commands.items()
    ]
    assert [outcome.state for outcome in outcomes] == ["passed", "failed", "out of time"]
    text = report.report(outcomes, "a machine", 3.0)
    assert "| speed | 3.5 | 3 to 4 | times | 2 |" in text
    assert "## bad: failed" in text and "it broke" in text and "## slow: out of time" in text


def test_the_script_runs_a_part_and_writes_its_report(tmp_path):
    command = [
        str(FOLDER / "gpu/run.sh"),
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--tiny",
        "--only",
        "same text",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    rows = [json.loads(line) for line in (tmp_path / "out/figures.jsonl").read_text().splitlines()]
    assert {row["value"] for row in rows} == {100.0}
    assert "| same text | passed |" in (tmp_path / "out/report.md").read_text()


@pytest.fixture
def uni_speed(tiny, tmp_path):
    """`uni_speed(device)`: (the measurement with a tiny student, its lines)."""
    script = imported(FOLDER / "gpu/uni_speed.py")
    chains = [
        Chain(
            Problem(f"p{n}", f"Ann has {n} boxes with 4 pens each. How many pens?", "14"),
            Rationale(f"p{n}/0", f"p{n}", "Ann has 3 boxes, so 3 x 4 = 14. The answer is 14."),
        )
        for n in range(1, 7)
    ]

    def make(device, seconds=100.0):
        lines = []
        sizes = script.UniSizes(6, 2000, 60.0, 4, 4, 30)
        folder = tiny("llama").save(tmp_path / "student")
        note = lambda **figures: lines.append(figures)  # noqa: E731
        task = get_task("gsm8k")
        return script.UniSpeed(
            str(folder), task, chains, device, note, lambda: seconds, sizes
        ), lines

    return make


def test_a_uni_student_is_measured_beside_a_direct_one_at_the_same_batch(uni_speed):
    speed, lines = uni_speed("cpu")
    speed.run()
    by_name = {line["what"]: line for line in lines}
    assert list(by_name) == [
        "fit direct",
        "fit uni",
        *("direct, graphs", "uni, graphs", "uni to direct, graphs"),
        *("direct, local", "uni, local", "uni to direct, local"),
    ]
    assert by_name["fit uni"]["tokens"] >= 2000
    for engine in ("graphs", "local"):
        direct, uni = by_name[f"direct, {engine}"], by_name[f"uni, {engine}"]
        assert direct["chains"] == uni["chains"] == 4 and direct["batch"] == uni["batch"] == 4
        assert "in_segments" in uni and "in_segments" not in direct
        line = by_name[f"uni to direct, {engine}"]
        rates = uni["tokens_a_second"] / direct["tokens_a_second"]
        assert line["ratio"] == pytest.approx(rates, rel=0.02) and line["wanted"] == 0.7
    assert by_name["uni, graphs"]["tokens"] == by_name["uni, local"]["tokens"]


def test_chains_of_several_segments_and_written_tokens_are_counted(uni_speed, monkeypatch):
    speed, lines = uni_speed("cpu")
    shapes = [(("ES", "a"),), (("ES", "a"), ("AS", "b")), (("ES", "a"), ("AS", "b"), ("ES", "c"))]
    stops = ("limit", "stop_sign", "end")
    written = [
        Prediction(f"p{n}", f"p{n}", "a", segments, None, stopped=stop, tokens=10 * (n + 1))
        for n, (segments, stop) in enumerate(zip(shapes, stops, strict=True))
    ]
    monkeypatch.setattr(sys.modules["benchmark_uni_speed"], "solve", lambda *_: iter(written))
    clock = iter([0.0, 2.0])
    monkeypatch.setattr(speed, "_now", lambda: next(clock))
    assert speed._rate("uni", None, "local") == 30.0
    assert lines[-1]["in_segments"] == 2 and lines[-1]["ended"] == 2 and lines[-1]["tokens"] == 60


def test_a_gpu_without_time_left_fits_no_student(uni_speed):
    speed, lines = uni_speed("cuda", seconds=60)
    speed.run()
    assert lines == [{"part": "uni", "skipped": "no time left"}]


def hotpotqa_row(number, **further):
    """A row whose paragraph `Ann` supports its answer and whose paragraph `Bob` does not."""
    context = [["Ann", [f"Ann wrote book {number}."]], ["Bob", ["Bob did not."]]]
    row = {"id": f"q{number}", "question": f"Who wrote book {number}?", "answer": "Ann"}
    return {**row, "context": context, "supporting_facts": [["Ann", 0]], **further}


def test_hotpotqa_keeps_gold_paragraphs_and_no_question_twice(tmp_path, monkeypatch):
    script = imported(FOLDER / "hotpotqa_gold.py")
    searching = "I need to search book 5. Ann wrote it. So I have the answer."
    files = {
        "hotpotqa/dev": [hotpotqa_row(0), hotpotqa_row(1, answer="Vol. 2"), hotpotqa_row(2)],
        "hotpotqa/train": [hotpotqa_row(3), hotpotqa_row(5), hotpotqa_row(6)],
        "hotpotqa_cot/gold_context": [
            hotpotqa_row(0, rationale="Ann wrote it."),
            hotpotqa_row(4, rationale="I know that Ann wrote it.", correct=False, predicted="Bob"),
        ],
        "hotpotqa_cot/react_gpt4": [
            hotpotqa_row(5, rationale=searching, steps=[]),
            hotpotqa_row(7, rationale="I should search again."),
            hotpotqa_row(8, rationale="Ann did.", context=[["", [""]]]),
        ],
    }
    for name, rows in files.items():
        write_rows(tmp_path / f"{name}.jsonl", rows)
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), str(tmp_path / "out"), "--test", "2"])
    script.main()
    parts = {
        name: [row for _, row in read_rows(tmp_path / f"out/{name}.jsonl")]
        for name in ("train", "validation", "test")
    }
    ids = {name: [row["id"] for row in rows] for name, rows in parts.items()}
    assert ids == {"train": ["q4", "q5"], "validation": ["q3", "q6"], "test": ["q0", "q2"]}
    for row in (*parts["validation"], *parts["test"]):
        assert [title for title, _ in row["context"]] == ["Ann"]
    assert parts["train"][0]["rationale"] == "I know that Ann wrote it."
    assert parts["train"][1]["rationale"] == "Ann wrote it."
    assert parts["train"][0]["predicted"] == "Bob" and "correct" not in parts["train"][0]


def test_the_prompts_of_the_guided_benchmark_put_the_question_last(monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    recipe = load_recipe("benchmarks/guided_hotpotqa.yaml")
    task, reader = get_task("hotpotqa"), recipe.guided.reader
    problem = Problem("p", "Who is it?", "Ann", context=(("Ann", ("It is she.",)),))
    for name, lines in (
        (reader.standard, ["Context: Ann: It is she.", "Question: Who is it?"]),
        (reader.guided, ["Context: Ann: It is she.", "Reasoning: So.", "Question: Who is it?"]),
        (
            reader.cot,
            ["Context: Ann: It is she.", "Question: Who is it?", "Think step by step."],
        ),
    ):
        messages = read_prompt(name).render(task, problem, reasoning="So.")
        assert messages[-1] == ("user", "\n".join(lines))
        example = messages[-2][1]
        assert read_off(example, ends_open=False) == ("Oslo", "closing")


def test_the_scale_benchmark_varies_chains_and_measures_a_stage(tmp_path):
    script = imported(FOLDER / "bench_scale.py")
    rows = [
        {"id": f"q{n}", "question": f"{n} + 1?", "rationale": "So.", "answer": "1"} for n in "ab"
    ]
    varied = list(script.varied(rows, 5))
    assert len({row["id"] for row in varied}) == len({row["question"] for row in varied}) == 5
    write_rows(tmp_path / "chains.jsonl", varied)
    cost = script.measure("split", 5, tmp_path / "chains.jsonl", "bundled")
    assert cost.processor_seconds > 0 and cost.memory_mib > 5 and cost.disk_mib == 0
    write_rows(tmp_path / "chains.jsonl", [{"id": "1"}])
    with pytest.raises(SystemExit, match="no field 'question' and no 'rationale'"):
        script.measure("read", 1, tmp_path / "chains.jsonl", "bundled")


def test_the_processes_benchmark_runs_a_recipe_each_way(tmp_path, monkeypatch):
    script = imported(FOLDER / "bench_processes.py")
    commands = []

    class Ended:
        def wait(self):
            return 0

    def start(command, log):
        commands.append(command)
        return Ended()

    monkeypatch.setattr(script, "start", start)
    for way in (script.ONE, script.LAUNCH, script.COMMANDS):
        assert script.measure(way, ["demo", "train.passes=1"], 2, tmp_path) >= 0
    one, launch, *twice = commands
    assert one[1:5] == ["-m", "smallsteps", "run", "demo"] and one[-2:] == ["--threads", "2"]
    assert launch[launch.index("--nproc-per-node") + 1] == "2" and launch[-1] == "1"
    assert len(twice) == 2 and twice[0] == twice[1] and twice[0][-1] == "1"
    assert {command[command.index("--out") + 1] for command in commands} == {str(tmp_path / "run")}
    (tmp_path / "log.txt").write_text("error: no such recipe")
    monkeypatch.setattr(Ended, "wait", lambda self: 2)
    with pytest.raises(SystemExit, match="one process: error: no such recipe"):
        script.measure(script.ONE, ["nothing"], 2, tmp_path)
