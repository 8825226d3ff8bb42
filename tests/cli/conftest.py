"""Commands that must be refused: the folder they run in, and what a refusal is."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.cli.main import main
from smallsteps.students.scratch import from_scratch
from smallsteps.students.settings import ScratchSettings
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.stories import make_chains

CHAIN = '{"id": "1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": "7"}\n'
HOP = (
    '{"id": "1", "question": "Who?", "context": "X is Y.", "rationale": "X is Y.", "answer": "Y"}\n'
)
FILES = {
    "chains.jsonl": CHAIN,
    "hops.jsonl": HOP,
    "enough.jsonl": "".join(
        CHAIN.replace("1", str(n), 1).replace("4?", f"4{n}?") for n in range(60)
    ),
    "said.jsonl": '{"id": "1", "answer": "7"}\n',
    "empty.jsonl": "",
    "table.csv": "1,How many?,So 3.,3\n2,How?,So 4.,4\n",
    "upper.jsonl": '{"ID": "1", "Text": "x"}\n',
    "blank.jsonl": "\n\n",
    "torn.jsonl": '{"id": "1", "question": "3',
    "list.jsonl": '[{"id": "1"}]\n',
    "text.jsonl": "How many?\n",
    "deep.jsonl": "[" * 20_000 + "\n",
    "number.jsonl": '{"id": "1", "question": 7, "rationale": 7, "answer": "7", "context": "X."}\n',
    "null.jsonl": '{"id": "1", "question": null, "rationale": null, "answer": "7", "context": "X."}\n',
    "twice.jsonl": HOP + HOP,
    "half-ids.jsonl": HOP + HOP.replace('"id": "1", ', ""),
    "other.jsonl": '{"id": "1", "text": "3 + 4?"}\n',
    "infinite.jsonl": CHAIN.replace('"answer": "7"', '"answer": Infinity'),
    "no-context.jsonl": '{"id": "1", "question": "Who?", "rationale": "X.", "answer": "Y"}\n',
    "broken.yaml": "data: [1,\n",
    "list.yaml": "- 1\n",
    "empty.yaml": "",
    "deep.yaml": "[" * 10_000,
    "missing.yaml": "title: x\n",
    "prompt.txt": "{{ question",
    "zero.txt": "{{ question }} {{ 1 / 0 }}",
    "include.txt": "{{ question }} {% include 'chains.jsonl' %}",
    "sum.txt": '{{ question }} {{ "a" + 1 }}',
    "endless.txt": "{{ question }} {% for n in range(10 ** 9) %}x{% endfor %}",
    "unknown.txt": "{{ qestion }}",
    "list-said.jsonl": '{"id": "1", "answer": ["7"]}\n',
    "object-said.jsonl": '{"id": "1", "answer": {"a": 7}}\n',
    "number-said.jsonl": '{"id": "1", "text": 7}\n',
    "infinite-said.jsonl": '{"id": "1", "answer": Infinity}\n',
    "segments-said.jsonl": '{"id": "1", "answer": "7", "segments": 7}\n',
    "tokens-said.jsonl": '{"id": "1", "answer": "7", "tokens": "x"}\n',
    "stopped-said.jsonl": '{"id": "1", "answer": "7", "stopped": []}\n',
    "facts.jsonl": HOP.replace('"answer"', '"supporting_facts": 7, "answer"'),
    "surrogate.jsonl": HOP.replace("X is Y.", "X is \\ud800."),
    "flat.jsonl": HOP.replace('"X is Y."', "7", 1),
}
BYTES = {
    "latin.jsonl": CHAIN.replace("So", "é").encode("latin-1"),
    "utf16.yaml": "title: x".encode("utf-16"),
    "binary.yaml": bytes(range(256)),
    "binary.jsonl": bytes(range(256)) * 4,
    "broken.parquet": b"PAR1 no",
    "latin.yaml": "title: é".encode("latin-1"),
}


@pytest.fixture(scope="session")
def unlearned(tmp_path_factory):
    """A student that has learnt nothing."""
    settings = ScratchSettings(vocabulary=300, d_model=16, d_kv=8, heads=2, d_ff=16, layers=1)
    made = from_scratch(["Ann has 3 pens. The answer is 3."] * 4, settings)
    prepare(made, get_task("numbers"), path="direct")
    return made.save(tmp_path_factory.mktemp("student") / "student")


@pytest.fixture(scope="module")
def place(tmp_path_factory, unlearned):
    """The folder that commands run in, and what it holds; no command may change it."""
    folder = tmp_path_factory.mktemp("place")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, raw in BYTES.items():
        (folder / name).write_bytes(raw)
    (folder / "folder").mkdir()
    (folder / "student").symlink_to(unlearned)
    for name in ("chains.jsonl", "hops.jsonl"):
        (folder / f"link-to-{name}").symlink_to(name)
        (folder / f"hard-link-to-{name}").hardlink_to(folder / name)
    return folder, content(folder)


def content(folder: Path) -> dict[str, str]:
    """Every file and folder with a digest, but the store of paid replies."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in folder.rglob("*")
        if not path.name.startswith("store.sqlite")
    }


@pytest.fixture
def refused(place, monkeypatch, capsys) -> Callable[[str, str], None]:
    """`refused(command, message)`: the command ends with exit code 2 and one line that matches, and
    changes nothing."""
    folder, before = place
    monkeypatch.chdir(folder)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def check(command: str, message: str) -> None:
        code = main(shlex.split(command))
        said = capsys.readouterr()
        after = content(folder)
        for name in after.keys() - before.keys():  # so that the next row finds the folder as it was
            shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink(
                missing_ok=True
            )
        errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert code == 2, (code, said.err[-2000:])
        assert "Traceback" not in said.err and errors == said.err.splitlines()[-1:], said.err
        assert re.search(message, errors[0]), errors[0]
        assert len(errors[0]) < 1000, errors[0]
        assert after == before

    return check


@pytest.fixture
def chains(tmp_path):
    """A file of 30 bundled chains."""
    rows = [
        {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "rationale": chain.rationale.text,
            "answer": chain.problem.answer,
        }
        for chain in make_chains(30, seed=3, difficulty="easy")
    ]
    write_rows(tmp_path / "chains.jsonl", rows)
    return tmp_path / "chains.jsonl"


@pytest.fixture(scope="session")
def uni_student(tmp_path_factory):
    """A student that has learnt nothing, saved for uni-path."""
    texts = [chain.rationale.text for chain in make_chains(30, seed=3)]
    settings = ScratchSettings(vocabulary=400, d_model=32, d_kv=8, heads=4, d_ff=32, layers=1)
    made = from_scratch(texts, settings)
    prepare(made, get_task("numbers"), path="uni")
    return made.save(tmp_path_factory.mktemp("uni") / "student")
