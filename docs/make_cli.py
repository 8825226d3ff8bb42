"""Writes `docs/cli.md` from the commands themselves: `python docs/make_cli.py`.

The tables come from the signatures of the typer app, so that the page cannot promise an option that
is not there. What a signature does not say (an example, what is written, what ends with exit code
2) stands here. Tests run every example and compare the page with `page()`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from smallsteps.cli.main import app

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# Command line

<!-- Written by docs/make_cli.py. To change an option, change the command; to change words, change that file. -->

`smallsteps COMMAND --help` shows the same options in the terminal. Progress goes to standard error, results to standard output.
Text of users, models and servers is shown as it is: control characters as pictures of them (`␛`), characters that the terminal's
encoding lacks as `\\u2013`. `NO_COLOR=1` turns colours off.
`smallsteps --version` prints the version. `python -m smallsteps.cli.main` is the same program.
"""

CODES = """\
## Outputs

An output is checked before any work: a folder where a file is wanted, a device, a place that is read-only or full, a name that is
too long, and any input of the same command (under whatever name) are refused. Files are written whole or not at all; new folders
on the way are made.

## Exit codes

They are the same for every command.

| code | meaning |
|---|---|
| `0` | Success, whatever the score. |
| `2` | You can put it right: a wrong option, row, file or folder, or a full disk. One line says what, where and what to do next. |
| `1` | A bug. The traceback is printed; please report it. |
| `130` | Interrupted (Ctrl-C). Give the same command again: runs, and `solve` with a file, go on where they stopped. |
"""


class Told(NamedTuple):
    """What a signature does not say about a command."""

    example: str
    writes: str
    refuses: str = ""
    """What ends with exit code 2, besides wrong options."""


RUN_FOLDER = "[run folder](architecture.md#a-run-folder)"
TOLD = {
    "demo": Told(
        "smallsteps demo --out runs/demo --threads 2",
        f"Writes a {RUN_FOLDER} with `results.json` and `report.html`. It is `smallsteps run demo`.",
        "a folder that holds other files or the run of another recipe",
    ),
    "compare": Told(
        "smallsteps compare my.jsonl --student google/flan-t5-small --seeds 3 --out runs/mine",
        "Splits the chains by question (80/10/10), trains each arm at each seed and grades it. "
        f"Writes a {RUN_FOLDER}; prints the table and the folder of the best student. "
        "[Data](data.md) says which files and columns are read. Reports (`--task pet`) have one more arm, `direct-report`. "
        "Every other knob is a key of the recipe: `--dry-run` prints them all, `--set` changes them.",
        "a row that cannot be read, too few chains for three parts, a question that stands in two parts or is longer than "
        "the student reads, an unknown arm or key (the nearest one is named), a folder of another run",
    ),
    "run": Told(
        "smallsteps run as-es/gsm8k data.chains=my.jsonl 'seeds=[0,1,2]' --out runs/gsm8k",
        f"Writes a {RUN_FOLDER}, as `compare` does. A run folder belongs to its recipe: other changes need another `--out`. "
        "The recipe `student/bundled` compares nothing; it pre-trains [the bundled student](students.md#the-bundled-student).",
        "no recipe of that name (the nearest one is named), an unknown key, no `--out`, and all that `compare` refuses",
    ),
    "recipes": Told("smallsteps recipes", "Prints each recipe's name and what it is for."),
    "teach": Told(
        "smallsteps teach questions.jsonl --teacher MODEL --base-url http://localhost:8000/v1 --out taught.jsonl",
        'Writes a row for each reply, kept or dropped, in the order of the questions: `{"id", "question", "answer", "rationale", '
        '"predicted", "correct"}`, with `sample` above the first and `dropped`, the reason, where it is not kept; kept rows are '
        "read by `compare` as chains. Replies are kept in a store before anything reads them: the same command again asks for "
        "nothing twice. The forecast comes before the first call. [Teachers](tailored.md#the-teacher).",
        "no key for a server that is not on this machine, a wrong URL or model, a prompt that asks for an answer that a row lacks, "
        "`--samples` above 1 with temperature 0, a store that is locked or of another version; once the rows are written, where no "
        "reply came or all were dropped for one reason",
    ),
    "segment": Told(
        "smallsteps segment my.jsonl --strategy rouge --out segments.jsonl",
        'Writes a row for each chain: `{"id", "question", "answer", "chain", "strategy", "segments": [{"kind", "text", '
        '"score"}]}`. `kind` is `"ES"` or `"AS"`; the texts joined are the chain; `inter` and `gold` have no `score`. Prints '
        "the shares of ES and AS, the agreement with gold labels where rows have them, and some chains in colour.",
        "a row that cannot be read, an unknown strategy, `ent`, `ent*` or `loss` without `--student`, `gold` where a row has no labels",
    ),
    "solve": Told(
        "smallsteps solve runs/mine/arms/direct-seed0/training/candidate-40 questions.jsonl --out answers.jsonl",
        "A question in quotes is answered in the terminal, each segment as it is written. For a file it writes a row for each "
        'question: `{"id", "text", "segments": [{"kind", "text"}], "answer", "stopped", "tokens"}`. `kind` is null where the '
        'student names none, `answer` is null where none could be read off, `stopped` is `"stop_sign"`, `"end"`, `"limit"`, '
        '`"empty"` or `"repetition"`: a model that smallsteps did not train is '
        "ended where it runs in a circle. Where every row has a gold answer, the figure is printed too. Answers written before "
        "an interruption are kept beside the output (`.answers.jsonl.partial`) and used again for the same questions, model "
        "and settings. An argument is a file where something of that name exists, or where it looks like a file's name "
        "(`questions.tsv`, `runs/x`); a space before it makes it a question.",
        "no student in that folder, a student that smallsteps did not train without `--task`, a file without `--out`, a "
        "file that is not there, a question longer than the student reads, an output that another process is writing",
    ),
    "guide": Told(
        "smallsteps guide hops.jsonl --guide runs/mine/seed0/distilled/candidate-40 --reader MODEL --base-url http://localhost:8000/v1 "
        "--compare --out answers.jsonl",
        'Writes a row for each question, in order: `{"id", "question", "context", "rationale", "answer", "found"}`; '
        "`found` says where the answer was read off. With `--compare` also `answer_without`; "
        "where rows have gold answers, `correct` (and `correct_without`), and the figures are printed. Replies are kept in a "
        "store: the same command again asks for nothing twice. Where the task is taken from the folder of `--guide`, a line says so.",
        "a row without context, a folder without a student, no key for a server that is not on this machine, a wrong URL or model, a "
        "reader of whom not one reply could be read",
    ),
    "quality": Told(
        "smallsteps quality rationales.jsonl --reference teacher.jsonl --out quality.jsonl",
        'Writes a row for each rationale, in order: `{"id", "factuality", "relevance", "logicality", "consistency", "coherence", '
        '"fluency", "naturalness", "readability"}`, each from 0 to 1. The first four are null where a question has no context '
        "(`--task numbers`), `fluency` is null without `--student`, `naturalness` without "
        "`--reference`; without references fluency is standardised over the rationales themselves. Prints the means. "
        "[What they measure](guided.md#eight-aspects).",
        "a row without question, context or rationale, a judge whose labels are not those of natural-language inference",
    ),
    "grade": Told(
        "smallsteps grade answers.jsonl gold.jsonl --task numbers",
        "Prints the figure with its 95 % interval, n, unparsed answers and settings. A prediction row may hold `id` and `text` alone, "
        "as any tool writes it: the answer is then extracted by the task's strict rule, with `--lenient` by the rule for teachers' "
        "replies and untrained students (which also reads rows whose answer is null). `--rows OUT.jsonl` writes one row for each "
        "prediction, in order: `id`, `answer` (null: none), `correct`. A problem without a prediction counts as wrong. "
        "How the rows of a file were decoded is not known: the figure says `decode:unknown` and names no seed.",
        "a gold row without an answer, a prediction for a problem that is not in the gold file, two predictions for one problem",
    ),
}


class Parameter(NamedTuple):
    """A row of a table."""

    name: str
    value: str
    """Empty for a flag."""
    default: str
    help: str
    is_argument: bool
    required: bool
    repeats: bool


def page() -> str:
    """The whole text of cli.md."""
    commands = {
        info.name or info.callback.__name__: info.callback
        for info in app.registered_commands
        if info.callback
    }
    if set(commands) != set(TOLD):
        raise SystemExit(
            f"TOLD in {__file__} must tell of {sorted(commands)}, it tells of {sorted(TOLD)}"
        )
    contents = [
        f"| [`{name}`](#smallsteps-{name}) | {_summary(call)} |" for name, call in commands.items()
    ]
    sections = [_section(name, call) for name, call in commands.items()]
    return (
        "\n".join(
            [HEAD, "| command | what it does |", "|---|---|", *contents, "", CODES, *sections]
        ).rstrip()
        + "\n"
    )


def _section(name: str, call: Callable[..., Any]) -> str:
    told, found = TOLD[name], parameters(call)
    lines = [
        f"## smallsteps {name}",
        "",
        _summary(call),
        "",
        "```bash",
        told.example,
        "```",
        "",
        told.writes,
    ]
    if told.refuses:
        lines += ["", f"Exit code 2: {told.refuses}."]
    if found:
        lines += [
            "",
            "| argument or option | default | what it says |",
            "|---|---|---|",
            *(_row(one) for one in found),
        ]
    return "\n".join([*lines, ""])


def _row(one: Parameter) -> str:
    words = f"`{one.name} {one.value}`" if one.value else f"`{one.name}`"
    said = one.help + (
        " May be given several times." if one.repeats and not one.is_argument else ""
    )
    return f"| {words} | {one.default} | {said} |"


def _summary(call: Callable[..., Any]) -> str:
    return _escaped(inspect.getdoc(call) or "")


def parameters(call: Callable[..., Any]) -> list[Parameter]:
    """A command's arguments, then its options, each in the order of the signature."""
    hints = get_type_hints(call, include_extras=True)
    found = [
        _parameter(own, hints[own.name]) for own in inspect.signature(call).parameters.values()
    ]
    return sorted(found, key=lambda one: not one.is_argument)


def _parameter(own: inspect.Parameter, hint: Any) -> Parameter:
    assert get_origin(hint) is Annotated, own.name
    kind, info = get_args(hint)
    if get_origin(kind) in (UnionType, Union):
        kind = next(one for one in get_args(kind) if one is not NoneType)
    repeats = get_origin(kind) is list
    kind = get_args(kind)[0] if repeats else kind
    is_pair = get_origin(kind) is tuple
    kind = get_args(kind)[0] if is_pair else kind
    is_argument = isinstance(info, ArgumentInfo)
    # inside Annotated an option's first word, which typer keeps as its default, is its name
    name = f"{own.name.upper()}{'...' if repeats else ''}" if is_argument else info.default
    value = (
        ""
        if is_argument
        else {bool: "", int: "INTEGER", float: "NUMBER", Path: "PATH", str: "TEXT"}[kind]
    )
    value = f"{value} {value}" if is_pair else value
    required = own.default is inspect.Parameter.empty
    default = (
        "*needed*"
        if required
        else ""
        if own.default is None or own.default is False
        else f"`{' '.join(map(str, own.default)) if is_pair else own.default}`"
    )
    return Parameter(name, value, default, _escaped(info.help), is_argument, required, repeats)


def _escaped(text: str) -> str:
    """Plain words as Markdown of a table's cell; names in backquotes stay."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [
        part.replace("*", r"\*").replace("|", r"\|").replace("<", "&lt;") for part in parts[::2]
    ]
    return "`".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")
