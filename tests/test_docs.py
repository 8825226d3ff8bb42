"""Docs are true: links lead somewhere, named functions and tests exist, the README's Python runs."""

import importlib
import json
import re
from pathlib import Path

import pytest

from smallsteps.tasks.stories import make_chains

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    rows = (
        {"id": c.problem.id, "question": c.problem.question, "rationale": c.rationale.text, "answer": c.problem.answer}
        for c in make_chains(12, seed=9, difficulty="easy")
    )
    (tmp_path / "chains.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], "README.md", "exec"), {})
    assert "acc = " in capsys.readouterr().out


def test_the_licence_and_the_bundled_student_are_there_and_small():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    bundled = ROOT / "src" / "smallsteps" / "students" / "bundled"
    assert (bundled / "model.safetensors").is_file() and (bundled / "tokenizer.json").is_file()
    assert sum(path.stat().st_size for path in bundled.iterdir()) <= 10_000_000
