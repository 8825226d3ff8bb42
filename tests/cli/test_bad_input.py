"""Bad input over all commands: exit code 2, one line that names what is wrong, nothing written,
inputs untouched.

Each row of the table is a command, as one would type it, and what its message must name. Commands
run in a folder that holds the files of `FILES`, a trained student and a second name of the input.
"""

from __future__ import annotations

import re

import pytest


def table(command: str, options: dict[str, str]) -> list[tuple[str, str]]:
    """`command` with each of the endings, and the message of each."""
    return [(f"{command} {ending}", message) for ending, message in options.items()]


def each(flag: str, values: str, message: str | None = None) -> dict[str, str]:
    """`flag` with each of the values; the message names the flag unless another is given."""
    return {
        f"{flag} {value}": message or re.escape(flag)
        for value in re.findall(r"'[^']*'|\S+", values)
    }


SEGMENT = "segment chains.jsonl --out new/out.jsonl"
SOLVE = "solve student chains.jsonl --out new/out.jsonl"
QUESTION = "solve student 'How many?'"
QUALITY = "quality hops.jsonl --out new/out.jsonl"
ENDPOINT = "--base-url http://127.0.0.1:9/v1 --store store.sqlite"
GUIDE = f"guide hops.jsonl --out new/out.jsonl --guide student --reader some {ENDPOINT}"
TEACH = f"teach chains.jsonl --out new/out.jsonl --teacher some {ENDPOINT}"
GRADE = "grade said.jsonl chains.jsonl"
DEVICES = each("--device", "foo cuda cuda:9 mps CUDA cpu:7 ''", "--device")
THREADS = each("--threads", "0 -1 1000000 x 1.5 99999999999999999999")
OUTPUTS = {
    ".": r"--out \.: a folder",
    "''": "'--out': is empty",
    "folder": "--out folder: a folder",
    "chains.jsonl/out.jsonl": "--out chains.jsonl/out.jsonl: cannot be written",
    "/dev/full": "--out /dev/full: a device",
    "/dev/null": "--out /dev/null: a device",
    "/proc/none/out.jsonl": "--out /proc/none/out.jsonl: cannot be written",
    "x" * 300: "too long",
}
SAME = {
    "{}": "the same file as the input",
    "./folder/../{}": "the same file as the input",
    "link-to-{}": "the same file as the input",
    "hard-link-to-{}": "the same file as the input",
}
ROWS = {
    "missing.jsonl": r"missing.jsonl: no such file",
    "nowhere/missing.jsonl": "no folder nowhere",
    "folder": "folder: a folder",
    "empty.jsonl": "empty.jsonl: the file is empty",
    "blank.jsonl": "blank.jsonl: the file is empty",
    "torn.jsonl": "torn.jsonl:1: broken JSON",
    "text.jsonl": "text.jsonl:1: broken JSON",
    "deep.jsonl": "deep.jsonl:1: broken JSON",
    "list.jsonl": r"list.jsonl(:1)?:? .*(no field|neither|no gold)",
    "latin.jsonl": "latin.jsonl:1: not UTF-8",
    "binary.jsonl": "binary.jsonl: a binary file",
    "broken.parquet": "broken.parquet",
    "number.jsonl": "number.jsonl:1.*(question|rationale)",
    "null.jsonl": "null.jsonl:1.*(question|rationale)",
    "twice.jsonl": "twice.jsonl:2.*the id '1' stands on line 1 already",
    "half-ids.jsonl": "half-ids.jsonl:2.*'id'",
    "other.jsonl": "other.jsonl:1.*(question|rationale)",
}
CHOICES = {
    **each("--task", "number HotpotQA '' None", "no task"),
    "--columns question": "--columns question: expected",
    "--columns foo=bar": "no field 'foo'",
    "--columns question=nope": "no column 'nope'",
}
TEMPERATURES = each("--temperature", "nan inf -inf -1 1e-30 1e30 x 0.0001")
MONEY = {
    **each("--price", "x 1"),
    "--price nan 0": "--price",
    "--price 0 -1": "--price",
    "--price inf 0": "--price",
    **each("--max-money", "nan -1 inf x"),
    **each("--max-calls", "-1 1.5 nan x"),
    **each("--max-tokens-total", "-1 1e3 x"),
    **each("--concurrency", "0 -1 x 1000000"),
    **each("--timeout", "0 -1 nan inf x"),
}


def outputs(command: str, flag: str = "--out") -> list[tuple[str, str]]:
    """`command` without its --out, with every output that cannot be, and its own input under all
    its names."""
    source = next(word for word in command.split() if word.endswith(".jsonl"))
    bare = command.replace("--out new/out.jsonl", "")
    wrong = {**OUTPUTS, **{name.format(source): message for name, message in SAME.items()}}
    return [
        (f"{bare} {flag} {name}", message.replace("--out", flag)) for name, message in wrong.items()
    ]


def sources(command: str) -> list[tuple[str, str]]:
    """`command` with every file of bad rows in place of its own."""
    source = next(word for word in command.split() if word.endswith(".jsonl"))
    return [(command.replace(source, name, 1), message) for name, message in ROWS.items()]


TABLE: list[tuple[str, str]] = [
    *outputs(SEGMENT),
    *outputs(SOLVE),
    *outputs(QUALITY),
    *outputs(GUIDE),
    *outputs(TEACH),
    *sources(SEGMENT),
    *sources(SOLVE),
    *sources(QUALITY),
    *sources(GUIDE),
    *sources(TEACH),
    *table(
        SEGMENT,
        {
            **each("--beta", "nan inf -1 0 x ''"),
            **each("--show", "-1 x 1.5"),
            **DEVICES,
            **CHOICES,
            **each("--strategy", "roug '' ENT", "strategy"),
            **each("--closing", "foo ''", "--closing"),
            "--strategy ent": "student",
            "--strategy ent --student ./nowhere": "nowhere: no such folder",
            "--strategy ent --student chains.jsonl": "chains.jsonl: expected a model folder",
            "--strategy ent --student folder": "folder: expected a Hugging Face model folder",
            "--shwo 3": "--shwo",
            "--out": "--out",
            "extra": "extra",
        },
    ),
    ("segment infinite.jsonl --out out.jsonl", "infinite.jsonl:1.*answer"),
    ("segment chains.jsonl", "--out"),
    ("segment", "chains"),
    *table(
        SOLVE,
        {
            **TEMPERATURES,
            **DEVICES,
            **THREADS,
            **CHOICES,
            **each("--batch-size", "0 -1 x 1.5"),
            **each("--dtype", "float31 '' int8", "dtype"),
            "--seed x": "--seed",
        },
    ),
    *table(
        QUESTION,
        {
            **TEMPERATURES,
            **DEVICES,
            **THREADS,
            "--task number": "no task",
            "--dtype x": "dtype",
            "--out out.jsonl": "--out out.jsonl: only for a file",
        },
    ),
    ("solve student ''", "the question is empty"),
    ("solve student '  '", "the question is empty"),
    *[
        (f"solve student {name}", f"{re.escape(name)}: .*put a space before it")
        for name in (
            "missing.tsv",
            "nowhere/q.jsonl",
            "folder",
            ".",
            "/dev/null",
            "missing.parquet",
            "runs/x",
        )
    ],
    ("solve student chains.jsonl", "name the file for the predictions: --out"),
    *[
        (f"solve {model} 'How many?'", message)
        for model, message in {
            "./nowhere": "nowhere: no such folder",
            "nowhere": "nowhere: no such folder",
            "chains.jsonl": "got another file",
            "folder": "no config.json",
            "''": "no name given",
            "x" * 300: "no such folder|not a possible path",
            "/dev/null": "got another file",
        }.items()
    ],
    *[
        (f"solve {model} chains.jsonl --out out.jsonl", model)
        for model in ("./nowhere", "folder", "said.jsonl")
    ],
    ("solve student chains.jsonl --out student/config.json", "a file of the model folder"),
    *table(
        QUALITY,
        {
            **DEVICES,
            **THREADS,
            **CHOICES,
            "--judge ./nowhere": "nowhere",
            "--judge folder": "folder",
            "--judge ''": "judge",
            "--encoder hops.jsonl": "hops.jsonl",
            "--encoder ./nowhere": "nowhere",
            "--student ./nowhere": "nowhere: no such folder",
            "--student folder": "folder",
            "--reference missing.jsonl": "missing.jsonl: no such file",
            "--reference other.jsonl": "other.jsonl:1",
            "--reference empty.jsonl": "empty.jsonl",
            "--encoder student": "student",
            "--judge student": "student",
        },
    ),
    ("quality no-context.jsonl --out out.jsonl", "no-context.jsonl:1 .1.: no context"),
    ("quality hops.jsonl --reference said.jsonl --out said.jsonl", "the same file as the input"),
    *table(
        GUIDE,
        {
            **MONEY,
            **DEVICES,
            **THREADS,
            **CHOICES,
            **each("--max-new-tokens", "0 -1 x"),
            **each("--answer-tokens", "0 -1 x"),
            "--guide ./nowhere": "guide ./nowhere: no such folder",
            "--prompt missing.txt": "missing.txt",
            "--prompt prompt.txt": "prompt.txt",
            "--standard missing.txt --compare": "missing.txt",
            "--base-url ftp://x": "ftp://x",
            "--base-url x": "x",
            "--base-url http://127.0.0.1:99999/v1": "99999",
            "--store chains.jsonl": "chains.jsonl",
            "--store folder": "--store folder: a folder",
            "--store hops.jsonl": "--store .*the same file",
            "--store chains.jsonl/s.sqlite": "--store .*cannot be written",
            "--store new/out.jsonl": "--store .*the same file",
        },
    ),
    (
        "guide no-context.jsonl --out out.jsonl --guide student --reader some --store store.sqlite --task hotpotqa",
        "no-context.jsonl .1.: no context",
    ),
    ("guide hops.jsonl --out out.jsonl --guide student", "--reader"),
    *table(
        TEACH,
        {
            **MONEY,
            **DEVICES,
            **THREADS,
            **CHOICES,
            **TEMPERATURES,
            **each("--samples", "0 -1 x 1000000000"),
            **each("--retries", "-1 x"),
            **each("--max-new-tokens", "0 -1 x"),
            "--samples 2": "--temperature above 0",
            "--prompt missing.txt": "missing.txt",
            "--prompt prompt.txt": "prompt.txt",
            "--prompt folder": "folder",
            "--base-url ftp://x": "ftp://x",
            "--base-url http://127.0.0.1:99999/v1": "99999",
            "--store folder": "--store folder: a folder",
            "--store chains.jsonl": "--store .*the same file",
            "--store said.jsonl": "said.jsonl",
            "--store chains.jsonl/s.sqlite": "--store .*cannot be written",
            "--store new/out.jsonl": "--store .*the same file",
        },
    ),
    *[
        (
            f"teach chains.jsonl --out new/out.jsonl --store store.sqlite --teacher {teacher}",
            message,
        )
        for teacher, message in {
            "missing.jsonl": "missing.jsonl",
            "./nowhere": "nowhere",
            "folder": "folder",
            "some": "OPENAI_API_KEY",
            "torn.jsonl": "torn.jsonl:1",
            "''": "--teacher: the model's name is empty",
        }.items()
    ],
    *table(
        GRADE,
        {
            **CHOICES,
            "--rows .": "--rows .* a folder",
            "--rows /dev/full": "--rows /dev/full: a device",
            "--rows said.jsonl": "the same file",
            "--rows chains.jsonl": "the same file",
            f"--rows {'x' * 300}": "too long",
            "--rows said.jsonl/x": "--rows .*cannot be written",
        },
    ),
    *[
        (f"grade {name} chains.jsonl", message)
        for name, message in ROWS.items()
        if name
        not in ("number.jsonl", "null.jsonl", "other.jsonl", "half-ids.jsonl", "twice.jsonl")
    ],
    ("grade twice.jsonl chains.jsonl", "twice.jsonl:2: a second prediction for '1', after line 1"),
    ("grade said.jsonl other.jsonl", "other.jsonl .*no gold answer"),
    *[
        (f"grade said.jsonl {name}", message)
        for name, message in ROWS.items()
        if name not in ("null.jsonl", "other.jsonl")
    ],
    *[
        (f"teach chains.jsonl --out new/out.jsonl --teacher some {ENDPOINT} --prompt {name}", name)
        for name in ("zero.txt", "include.txt", "sum.txt", "endless.txt", "unknown.txt")
    ],
    *[
        (
            f"guide hops.jsonl --out new/out.jsonl --guide student --reader some {ENDPOINT} --prompt {name}",
            name,
        )
        for name in ("zero.txt", "include.txt", "sum.txt", "endless.txt", "unknown.txt")
    ],
    *[
        (f"grade {name}-said.jsonl chains.jsonl", f"{name}-said.jsonl:1")
        for name in ("list", "object", "number", "infinite", "segments", "tokens", "stopped")
    ],
    *[
        (f"{command} {name}.jsonl --out new/out.jsonl", f"{name}.jsonl:1")
        for command in ("quality", f"guide --guide student --reader some {ENDPOINT}")
        for name in ("facts", "surrogate", "flat")
    ],
    ("nothing", "no command 'nothing'"),
    ("--shwo", "--shwo"),
]


@pytest.mark.parametrize("command, message", TABLE, ids=[command[:100] for command, _ in TABLE])
def test_bad_input_ends_in_one_line_and_changes_nothing(command, message, refused):
    refused(command, message)


def test_the_table_has_no_row_twice_and_enough_of_them():
    commands = [command for command, _ in TABLE]
    assert len(commands) == len(set(commands)) > 500


SMALL_TRAPS = {
    "segment chains.jsonl --out new.jsonl --student student": (
        "--student student: the strategy inter does not read it. Leave it out, or name one that "
        "does: --strategy ent"
    ),
    "segment chains.jsonl --out new.jsonl --strategy ent --student student "
    "--untrained-student student": (
        "--untrained-student student: the strategy ent does not read it. .*--strategy 'ent\\*'"
    ),
    "segment https://example.org/c.jsonl --out new.jsonl": (
        "https://example.org/c.jsonl: an address, not a file. Fetch it first: curl -LO https://ex"
    ),
    "segment table.csv --out new.jsonl": (
        "no field 'question' and no 'rationale'. The row has: 1, How many\\?, So 3., 3. .*If the first line is a row"
    ),
    "grade upper.jsonl chains.jsonl": "no field 'id'. The row has: ID, Text. Expected id and text",
    "quality chains.jsonl --ratings missing.csv": "missing.csv: no such file",
    "teach chains.jsonl --out new.jsonl --teacher models/mine/": "models/mine/: no such file or fold",
    "recipes --schema --arms": "--schema and --arms exclude each other",
    "run demo --set train.passes=3": "changes without --set: smallsteps run RECIPE key=value",
    "run mising.yaml --dry-run": "no recipe file mising.yaml. Did you mean missing.yaml\\?",
    "run chains.jsonl --dry-run": "smallsteps compare chains.jsonl --student NAME --out DIR",
    "demo --threads x": "'--threads': expected a whole number, got 'x'",
    "compare chains.jsonl --student student --arms '' --dry-run": (
        "--arms: expected a list .* Type for example --arms base,answer-only,direct"
    ),
}


@pytest.mark.parametrize("command", SMALL_TRAPS)
def test_a_small_mistake_is_told_with_what_to_type(command, refused):
    refused(command, SMALL_TRAPS[command])
