"""Docs are true: links lead somewhere, named functions and tests exist, the README's Python
runs."""

import importlib
import importlib.util
import json
import re
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import smallsteps
from kept_runs import make_kept_run
from report.conftest import plateau_results
from smallsteps.cli.main import main
from smallsteps.evaluation.metrics import METRICS
from smallsteps.experiment.results import write_results
from smallsteps.generation.engine import ENGINES
from smallsteps.quality.aspects import ASPECTS
from smallsteps.segments.strategies import STRATEGIES
from smallsteps.students.loading import load_student
from smallsteps.students.scratch import from_scratch
from smallsteps.students.settings import ScratchSettings
from smallsteps.students.tokens import prepare
from smallsteps.tasks import TASKS, get_task
from smallsteps.tasks.stories import make_chains
from smallsteps.training.estimators import ESTIMATORS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def write_chains(path, count):
    rows = (
        {
            "id": c.problem.id,
            "question": c.problem.question,
            "rationale": c.rationale.text,
            "answer": c.problem.answer,
        }
        for c in make_chains(count, seed=9, difficulty="easy")
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def anchors(page):
    """What `#...` may name on a page, as GitHub makes it from the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_prose_is_at_most_100_columns_wide_tables_and_code_are_not_prose(page):
    in_code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("```"):
            in_code = not in_code
        only_a_link = re.fullmatch(r"[-*]? ?!?\[[^\]]*\]\([^)]*\)[.,:;)]*", text)
        if in_code or text.startswith("|") or only_a_link:
            continue
        assert len(line) <= 100, f"{page.name}:{number} has {len(line)} columns"


METHOD_PAGES = ["as-es.md", "tailored.md", "guided.md"]


def code_named_on(page):
    """(module, name or None) of all code that the cells of the page's tables name: after
    `module:name`, further names of the cell belong to the same module."""
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for cell in re.findall(r"[^|\n]+", "\n".join(rows)):
        module = None
        for text in re.findall(r"`([^`]+)`", cell):
            if match := re.fullmatch(r"(smallsteps(?:\.\w+)+)(?::([\w.]+))?", text):
                module = match[1]
                yield module, match[2]
            elif module is not None and re.fullmatch(r"\w+", text):
                yield module, text


@pytest.mark.parametrize("name", METHOD_PAGES)
def test_functions_named_on_a_method_page_exist(name):
    named = list(code_named_on((ROOT / "docs" / name).read_text(encoding="utf-8")))
    assert len(named) > 10
    for module, attributes in named:
        place = importlib.import_module(module)
        for attribute in attributes.split(".") if attributes else ():
            assert hasattr(place, attribute), f"docs/{name} names {module}:{attributes}"
            place = getattr(place, attribute)


@pytest.mark.parametrize("name", METHOD_PAGES)
def test_tests_named_on_a_method_page_exist(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(tests) > 10
    for file, test in tests:
        assert (ROOT / file).is_file(), f"docs/{name} names {file}"
        code = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in code, f"docs/{name} names {file}::{test}"


def test_each_module_has_one_row_in_its_room_on_the_page_on_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "smallsteps"
    rooms = text[text.index("## The rooms") : text.index("## A run folder")]
    rows = []
    for section in rooms.split("\n### ")[1:]:
        room = re.match(r"`([\w/]+/)`", section)
        names = re.findall(r"^\| `([\w/]+\.py)` \| \S", section, re.MULTILINE)
        rows += [(room[1] if room else "") + name for name in names]
    modules = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert set(rows) <= modules, f"no such module: {sorted(set(rows) - modules)}"
    assert modules <= set(rows), f"docs/architecture.md lacks {sorted(modules - set(rows))}"
    assert len(rows) == len(modules), "docs/architecture.md names a module twice"


def test_modules_named_in_the_vocabulary_exist():
    text = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    modules = re.findall(r"`([\w/]+(?:\.py|/))`", "\n".join(rows))
    assert len(modules) > 100
    for module in set(modules):
        assert (ROOT / "src" / "smallsteps" / module).exists(), module


def test_names_beside_a_module_in_the_vocabulary_exist():
    text = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+)\.py`, `(\w+)(?:\.(\w+))?`", text)
    assert len(named) > 10
    for module, name, attribute in named:
        thing = getattr(importlib.import_module(f"smallsteps.{module.replace('/', '.')}"), name)
        assert not attribute or hasattr(thing, attribute), (module, name, attribute)


def test_the_mixed_recipe_of_the_quick_start_is_one(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # the store of paid replies
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    (tmp_path / "mixed.yaml").write_text(recipe, encoding="utf-8")
    write_chains(tmp_path / "my.jsonl", 60)
    assert main(["run", "mixed.yaml", "--dry-run", "--out", "runs/mixed"]) == 0
    assert "arms (5): direct, ases-uni-rouge, tailored-full" in capsys.readouterr().out


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
    for name in make_cli.DESCRIPTIONS:
        section = text.split(f"## smallsteps {name}\n")[1].split("\n## ")[0]
        assert main([name, "--help"]) == 0
        options = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        assert options - set(re.findall(r"--[a-z][a-z-]*", section)) == {"--help"}, name


def test_every_example_of_the_page_of_commands_runs(make_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # the store of paid replies
    for name in ("my.jsonl", "questions.jsonl", "gold.jsonl"):
        write_chains(tmp_path / name, 4)
    hop = {
        "id": "a",
        "question": "Where does Ann live?",
        "context": "Ann lives in Rome.",
        "rationale": "Ann lives in Rome.",
    }
    for name in ("hops.jsonl", "rationales.jsonl", "teacher.jsonl"):
        (tmp_path / name).write_text(json.dumps(hop) + "\n")
    small = ScratchSettings(vocabulary=400, d_model=32, d_kv=8, heads=4, d_ff=32, layers=1)
    student = prepare(from_scratch(["Ann has 3 pens."], small), get_task("numbers"), path="direct")
    results = plateau_results()
    student.save(tmp_path / "runs/mine" / results.best.folder)
    student.save(tmp_path / "runs/mine/arms/direct-seed0/training/candidate-40")
    student.save(tmp_path / "runs/mine/seed0/distilled/candidate-40")
    write_results(tmp_path / "runs/mine", results)
    for name in ("first", "second"):
        make_kept_run(tmp_path / "runs" / name, {("direct", 0): [1], ("base", 0): [2]})
    for name, description in make_cli.DESCRIPTIONS.items():
        program, *words = shlex.split(description.example)
        assert (program, words[0]) == ("smallsteps", name)
        # these train, or ask a server; their plan shows that every word is understood
        long = name in ("demo", "compare", "run", "teach", "guide", "serve", "review")
        if "--out" in words and name in ("compare", "run"):
            words[words.index("--out") + 1] += "-new"  # the folder above is no run's
        words += ["--port", "0"] if name == "serve" else []  # 8000 may be in use
        assert main([*words, *(["--dry-run"] if long else [])]) == 0, description.example
    assert (tmp_path / "segments.jsonl").is_file() and (tmp_path / "answers.jsonl").is_file()


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    code = re.search(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    write_chains(tmp_path / "chains.jsonl", 12)
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], "README.md", "exec"), {})
    assert "acc = " in capsys.readouterr().out


EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("section", re.findall(r"^## (.*)$", EXTENDING, re.MULTILINE))
def test_the_examples_of_the_page_on_extending_run(section, tmp_path, monkeypatch):
    blocks = re.findall(
        r"```python\n(.*?)```", EXTENDING.split(f"\n## {section}\n")[1].split("\n## ")[0], re.DOTALL
    )
    assert blocks
    monkeypatch.chdir(tmp_path)
    names = {}
    with registries_restored():
        for block in blocks:
            exec(compile(block, "extending.md", "exec"), names)


@contextmanager
def registries_restored():
    """Takes out again what examples add. In place, as other modules hold the same dictionaries."""
    registries = (ASPECTS, ENGINES, ESTIMATORS, METRICS, STRATEGIES, TASKS)
    before = [dict(registry) for registry in registries]
    try:
        yield
    finally:
        for registry, entries in zip(registries, before, strict=True):
            registry.clear()
            registry.update(entries)


TAUGHT = {
    "question": "Ann has 3 pens. She buys 4 more pens. How many pens does Ann have now?",
    "rationale": "Ann has 3 pens and buys 4 more, so she has 3 + 4 = 7 pens.",
    "answer": "7",
}
"""The chain that the stand-ins for the students of the page have learnt by heart."""
WRITTEN = "Ann has 3 pens and buys 4 more, so she has 3 + 4 = 7 pens. The answer is 7."
CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}answer:{% endif %}"
DIRECT = "runs/mine/arms/direct-seed0/training/candidate-40"
UNI = "runs/mine/arms/ases-uni-inter-seed0/training/candidate-40"
CAUSAL = "runs/qwen/arms/ases-uni-ent-seed0/training/candidate-400"


@pytest.fixture
def teach(tmp_path, monkeypatch, tiny):
    """`teach(student, path, place)`: the student, taught one chain, in a folder that the page
    names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chains.jsonl").write_text(json.dumps(TAUGHT))

    def make(style, path, place):
        small = ScratchSettings(
            vocabulary=320, d_model=32, d_kv=8, heads=4, d_ff=48, layers=1, dropout=0.0
        )
        student = from_scratch([TAUGHT["rationale"]], small) if style == "t5" else tiny("llama")
        if style == "chat":
            student.tokenizer.chat_template = CHAT
        task = get_task("numbers")
        prepare(student, task, path=path)
        chains = smallsteps.read("chains.jsonl", task).chains
        segments = smallsteps.segment(chains, "inter", task=task)
        examples = smallsteps.build(chains, segments, task, path, causal=style != "t5")
        settings = smallsteps.TrainSettings(passes=80, learning_rate=1e-2, evaluations=1)
        result = smallsteps.fit(student, examples, [], settings, "training", task=task)
        shutil.copytree(result.folder("train_loss"), place)
        assert smallsteps.load(place)(TAUGHT["question"]).text == WRITTEN

    return make


def students_page(*words):
    """The page's block of Python that holds all `words`."""
    page = (ROOT / "docs" / "students.md").read_text(encoding="utf-8")
    found = [
        b
        for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if all(word in b for word in words)
    ]
    assert len(found) == 1, words
    return compile(found[0], "students.md", "exec")


def test_the_page_of_students_loads_one(teach, capsys):
    teach("t5", "direct", DIRECT)
    exec(students_page("smallsteps.load", DIRECT), {})
    assert capsys.readouterr().out.startswith("7 ")


@pytest.mark.parametrize(
    ("style", "path", "place"),
    [
        ("t5", "direct", DIRECT),
        ("t5", "uni", UNI),
        ("chat", "uni", CAUSAL),
        ("llama", "uni", CAUSAL),
    ],
)
def test_transformers_alone_writes_what_smallsteps_writes(style, path, place, teach, capsys):
    teach(style, path, place)
    exec(students_page("AutoTokenizer", place), {})
    assert (
        " ".join(capsys.readouterr().out.split()).removeprefix(TAUGHT["question"]).strip()
        == WRITTEN
    )


def test_the_loop_with_stop_markers_asks_for_one_segment_a_call(teach, monkeypatch, capsys):
    teach("llama", "uni", CAUSAL)
    served, asked = load_student(CAUSAL), []

    def create(model, prompt, max_tokens, temperature, stop, extra_body):
        """What a server does: continues the prompt and ends before a stop string."""
        asked.append(prompt)
        ids = served.tokenizer(prompt, return_tensors="pt")
        new = served.model.generate(**ids, max_new_tokens=max_tokens, do_sample=temperature > 0)
        text = served.tokenizer.decode(
            new[0, ids["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return SimpleNamespace(choices=[SimpleNamespace(text=re.split("|".join(stop), text)[0])])

    client = SimpleNamespace(completions=SimpleNamespace(create=create))
    monkeypatch.setattr("openai.OpenAI", lambda base_url, api_key: client)
    exec(students_page("OpenAI"), {})
    assert len(asked) == 3
    chain = capsys.readouterr().out.strip().removeprefix(TAUGHT["question"]).strip()
    assert [part.strip() for part in re.split("<es>|<as>", chain) if part] == [
        "Ann has 3 pens and buys 4 more,",
        "so she has 3 + 4 = 7 pens.",
        "The answer is 7.",
    ]


def test_the_licence_is_there():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
