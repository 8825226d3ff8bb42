"""Docs are true: links lead somewhere, named functions and tests exist, the README's Python runs."""

import importlib
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from smallsteps.cli.main import main
from smallsteps.students.scratch import ScratchSettings, from_scratch
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def write_chains(path, count):
    rows = (
        {"id": c.problem.id, "question": c.problem.question, "rationale": c.rationale.text, "answer": c.problem.answer}
        for c in make_chains(count, seed=9, difficulty="easy")
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_functions_and_tests_named_on_the_method_page_exist():
    text = (ROOT / "docs" / "as-es.md").read_text(encoding="utf-8")
    functions = re.findall(r"`(smallsteps[\w.]+):(\w+)`", text)
    assert len(functions) > 10
    for module, name in functions:
        assert hasattr(importlib.import_module(module), name), f"{module}:{name}"
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(tests) > 10
    for file, name in tests:
        assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8") if name else (ROOT / file).is_file(), (
            file,
            name,
        )


def test_the_page_on_architecture_names_every_module_and_none_that_is_gone():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "smallsteps"
    rows = re.findall(r"^\| (`[^|]+) \|(.*)\|$", text, re.MULTILINE)
    named = set()
    for first, rest in rows:
        place = re.match(r"`(\w+/)`", first)
        found = re.findall(r"`([\w/]+\.py)`", first + rest)
        named |= {(place[1] if place else "") + name for name in found}
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert named <= modules, f"no such module: {sorted(named - modules)}"
    rooms_told_as_a_whole = ("cli/", "report/")
    kinds_of_task = {f"tasks/{name}.py" for name in ("choice", "free_text", "reports", "word_problems", "yes_no")}
    untold = {name for name in modules - named - kinds_of_task if not name.startswith(rooms_told_as_a_whole)}
    assert not untold, f"docs/architecture.md does not name {sorted(untold)}"


@pytest.fixture(scope="module")
def make_cli():
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_commands_say(make_cli):
    same = make_cli.PAGE.read_text(encoding="utf-8") == make_cli.page()
    assert same, "docs/cli.md is not what the commands say. Run: python docs/make_cli.py"


def test_the_page_of_commands_names_every_option_that_help_names(make_cli, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    text = make_cli.page()
    for name in make_cli.TOLD:
        section = text.split(f"## smallsteps {name}\n")[1].split("\n## ")[0]
        assert main([name, "--help"]) == 0
        options = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        assert options - set(re.findall(r"--[a-z][a-z-]*", section)) == {"--help"}, name


def test_every_example_of_the_page_of_commands_runs(make_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my.jsonl", "questions.jsonl", "gold.jsonl"):
        write_chains(tmp_path / name, 4)
    small = ScratchSettings(vocabulary=400, d_model=32, d_kv=8, heads=4, d_ff=32, layers=1)
    student = prepare(from_scratch(["Ann has 3 pens."], small), get_task("numbers"), path="direct")
    student.save(tmp_path / "runs/mine/arms/direct-seed0/training/candidate-40")
    for name, told in make_cli.TOLD.items():
        program, *words = shlex.split(told.example)
        assert (program, words[0]) == ("smallsteps", name)
        long = name in ("demo", "compare", "run")  # these train; their plan shows that every word is understood
        assert main([*words, *(["--dry-run"] if long else [])]) == 0, told.example
    assert (tmp_path / "segments.jsonl").is_file() and (tmp_path / "answers.jsonl").is_file()


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    write_chains(tmp_path / "chains.jsonl", 12)
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], "README.md", "exec"), {})
    assert "acc = " in capsys.readouterr().out


@pytest.mark.parametrize("section", ["A task", "A segmentation", "An arm"])
def test_the_examples_of_the_page_on_extending_run(section, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page.split(f"\n## {section}\n")[1].split("\n## ")[0], re.DOTALL)
    assert len(blocks) > 1
    assert page.count("\n## ") == 3, "every section is run"
    monkeypatch.chdir(tmp_path)
    for place in ("smallsteps.tasks.TASKS", "smallsteps.segments.label.STRATEGIES"):  # examples add to them
        module, name = place.rsplit(".", 1)
        monkeypatch.setattr(place, dict(getattr(importlib.import_module(module), name)))
    names = {}
    for block in blocks:
        exec(compile(block, "extending.md", "exec"), names)


def test_the_licence_and_the_bundled_student_are_there_and_small():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    bundled = ROOT / "src" / "smallsteps" / "students" / "bundled"
    assert (bundled / "model.safetensors").is_file() and (bundled / "tokenizer.json").is_file()
    assert sum(path.stat().st_size for path in bundled.iterdir()) <= 10_000_000
