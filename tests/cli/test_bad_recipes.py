"""Bad recipes and bad data of runs: refused in one line, before any work, with nothing written. See
`test_bad_input.py`."""

from __future__ import annotations

import re

import pytest

COMPARE = "compare enough.jsonl --student bundled --threads 1 --out new/run"
RUN = "run demo --threads 1 --out new/run"
DRY = "run demo --dry-run"
THREADS = ["0", "-1", "1000000", "x", "1.5", "99999999999999999999"]
CHANGES = {
    "nothing=1": "nothing",
    "train.passes=inf": "passes",
    "train.learning_rate=nan": "learning_rate",
    "train.learning_rate=inf": "learning_rate",
    "train.learning_rate=-1": "learning_rate",
    "seeds=[-1]": "seeds",
    "seeds=[]": "seeds",
    "seeds=[4294967296]": "seeds",
    "seeds=x": "seeds",
    "data.count=-1": "count",
    "data.limit=-1": "limit",
    "data.limit=0": "limit",
    "arms=[]": "arms",
    "arms=[dirct]": "dirct",
    "'arms=[direct'": "arms=",
    "'title=\"'": "title",
    "title=*y": "title=",
    "title=@z": "title=",
    "title=%": "title=",
    "=": "=",
    "train": "train",
    "data.task=number": "number",
    "segmentation.beta=nan": "beta",
    "segmentation.beta=-1": "beta",
    "student.device=foo": "student.device",
    "student.device=cuda:77": "student.device",
    "data.chains=missing.jsonl": "missing.jsonl",
    "student.name=./nowhere": "nowhere",
    "'student.scratch={d_model: 0}'": "d_model",
    "'student.scratch={layers: x}'": "layers",
    "'train.report_to=[foo]'": "report_to",
    "'sweep={beta: []}'": "sweep",
    "'sweep={beta: [nan]}'": "sweep",
    "'sweep={beta: [-1]}'": "sweep",
    "'sweep={delta: [1]}'": "sweep",
    "train.budget=0": "budget",
}
DATA = {
    "x" * 300: "x…: cannot be read",
    "missing.jsonl": "missing.jsonl: no such file",
    "nowhere/missing.jsonl": "no folder nowhere",
    "folder": "folder: a folder",
    "empty.jsonl": "empty.jsonl: the file is empty",
    "torn.jsonl": "torn.jsonl:1: broken JSON",
    "latin.jsonl": "latin.jsonl:1: not UTF-8",
    "binary.jsonl": "binary.jsonl: a binary file",
    "broken.parquet": "broken.parquet",
    "number.jsonl": "number.jsonl:1.*rationale",
    "twice.jsonl": "twice.jsonl:2.*the id '1' stands on line 1 already",
}
OPTIONS = {
    "--device": "foo cuda:77 CUDA ''",
    "--seeds": "0 -1 x 1000000000",
    "--passes": "nan inf 0 -1 x",
    "--budget": "0 -1 x",
    "--threads": " ".join(THREADS),
}
FOLDERS = {
    "chains.jsonl": "--out chains.jsonl: expected a folder",
    "chains.jsonl/run": "cannot be written",
    "/proc/none/run": "cannot be written",
    "x" * 300: "too long",
    ".": "no run",
}
RECIPES = {
    "demmo": "no recipe",
    "missing.yaml": "bundled chains",
    "broken.yaml": "broken.yaml",
    "list.yaml": "list.yaml",
    "empty.yaml": "empty.yaml|bundled chains",
    "deep.yaml": "deep.yaml",
    "utf16.yaml": "utf16.yaml",
    "binary.yaml": "binary.yaml",
    "latin.yaml": "latin.yaml",
    "folder": "folder",
    "''": "recipe",
    "x" * 300: "recipe",
}
PRETRAINING = {
    "nothing=1": "unknown key 'nothing'",
    "student.nothing=1": "unknown key 'student.nothing'",
    "student=1": "student",
    "steps=0": "steps",
    "steps=1.5": "steps",
    "steps=x": "steps",
    "learning_rate=nan": "learning_rate",
    "learning_rate=inf": "learning_rate",
    "seed=-1": "seed",
    "compile=maybe": "compile",
    "save_every=0": "save_every",
}
TABLE = [
    *[
        (f"run student/bundled {change} --dry-run", message)
        for change, message in PRETRAINING.items()
    ],
    ("run student/bundled --dry-run --threads 0", "--threads"),
    *[
        (f"{command} {change}", message)
        for command in (DRY, RUN)
        for change, message in CHANGES.items()
    ],
    *[
        (f"compare {name} --student bundled --threads 1 --out new/run", message)
        for name, message in DATA.items()
    ],
    *[
        (f"{COMPARE} {flag} {value}", re.escape(flag))
        for flag, values in OPTIONS.items()
        for value in values.split()
    ],
    *[(f"{COMPARE} --arms {value}", "arm") for value in ("dirct", "''", ",")],
    *[(f"{COMPARE} --task {value}", "task") for value in ("number", "''")],
    *[
        (f"{COMPARE} --student {name}", message)
        for name, message in {"./nowhere": "nowhere", "folder": "folder"}.items()
    ],
    *[
        (f"{COMPARE} --set {change}", message)
        for change, message in {
            "x": "x",
            "train.passes=inf": "passes",
            "train.learning_rat=1": "learning_rat",
            "train=1": "train",
        }.items()
    ],
    *[(f"run demo --threads {value} --out new/run", "--threads") for value in THREADS],
    *[
        (f"{command} --out {out}", message)
        for command in (
            "run demo --threads 1",
            "demo --threads 1",
            "compare enough.jsonl --student bundled --threads 1",
        )
        for out, message in FOLDERS.items()
    ],
    *[(f"run {recipe} --dry-run", message) for recipe, message in RECIPES.items()],
    ("run demo", "name the run folder: --out"),
]


@pytest.mark.parametrize("command, message", TABLE, ids=[command[:100] for command, _ in TABLE])
def test_bad_recipes_end_in_one_line_and_change_nothing(command, message, refused):
    refused(command, message)
