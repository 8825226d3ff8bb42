"""Writes `docs/cli.md` from the commands themselves: `python docs/make_cli.py`.

The tables come from the signatures of the commands, so that the page cannot name an option that
does not exist. What a signature does not say (an example, what is written, what exits with code 2)
is in `DESCRIPTIONS`. Tests run every example and compare the page with `page()`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo

from smallsteps.cli.main import COMMANDS

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# Command line

<!-- Written by docs/make_cli.py: change the commands or that file, not this page. -->

`smallsteps COMMAND --help` prints the same options. Results go to standard output, progress to
standard error. Control characters in the text of users, models and servers are printed as pictures
of them (`␛`), characters that the terminal's encoding lacks as `\\u2013`. `NO_COLOR=1` turns colours
off. `smallsteps --version` prints the version. `python -m smallsteps.cli.main` is the same program.
"""

CODES = """\
## Outputs

Every command checks its outputs before any work. It refuses a folder where a file is wanted, a
device, a place that is read-only or full, a name that is too long, and any of its own inputs, under
whatever name. Writes are atomic: a file is complete or not there. Missing folders are made.

## Exit codes

They are the same for every command.

| code | meaning |
|---|---|
| `0` | Success, whatever the score. |
| `2` | You can fix it: a wrong option, row, file or folder, or a full disk. One line says what is wrong, where, and what to do next. |
| `1` | A bug. The traceback is printed; please report it. |
| `130` | Interrupted (Ctrl-C). Run the same command again: runs, and `solve` with a file, continue where they stopped. |
"""


class Description(NamedTuple):
    """What a signature does not say about a command."""

    example: str
    writes: str
    refuses: Sequence[str] = ()
    """What exits with code 2, besides wrong options."""


RUN_FOLDER = "[run folder](architecture.md#a-run-folder)"
DESCRIPTIONS = {
    "demo": Description(
        "smallsteps demo --out runs/demo --threads 2",
        f"Writes a {RUN_FOLDER} with `results.json`, `report.html` and `figure.svg`. The same as "
        "`smallsteps run demo`.",
        ["a folder that holds other files or the run of another recipe"],
    ),
    "compare": Description(
        "smallsteps compare my.jsonl --student google/flan-t5-small --seeds 3 --out runs/mine",
        "Splits the chains by question (80/10/10), trains each arm with each seed and grades it. "
        f"Writes a {RUN_FOLDER}. Prints the results and the folder of the best student. "
        "[Data](data.md) names the files and columns that can be read. Reports (`--task pet`) have "
        "one more arm, `direct-report`. [Feedback](feedback.md#into-the-next-training) says what "
        "`--feedback` adds. All other settings are keys of the recipe: `--dry-run` "
        "prints them, `--set` changes them.",
        [
            "a row that cannot be read",
            "too few chains for training, validation and test data",
            "a question that is in two of these splits",
            "a question that is longer than the student can read",
            "an unknown arm or key; the message names the nearest one",
            "a folder of another run",
        ],
    ),
    "run": Description(
        "smallsteps run as-es/gsm8k data.chains=my.jsonl 'seeds=[0,1,2]' --out runs/gsm8k",
        f"Writes a {RUN_FOLDER}, as `compare` does. A recipe may name arms of "
        "[several methods](quickstart.md#mixed-recipes). A run folder belongs to one recipe; it "
        "may [grow by arms and seeds](training.md#more-arms-or-seeds). With other changes, name "
        "another `--out`. The recipes `student/bundled` and "
        "`student/bundled-causal` compare nothing: they pre-train "
        "[the bundled students](students.md#the-bundled-students).",
        [
            "an unknown recipe or key; the message names the nearest one",
            "no `--out`",
            "all that `compare` refuses",
        ],
    ),
    "show": Description(
        "smallsteps show runs/first runs/second --page joined.html",
        "Prints the tables, the main figure and the verdict of a run, and writes `report.html` and "
        "`figure.svg` in its folder again. A run that is under way or was stopped is shown as far "
        "as its arms are graded. Several runs of the same test questions are "
        "[joined](report.md#several-runs) into one table and one figure, with paired tests across "
        "the runs; their folders stay as they are. `--json`, `--csv`, `--markdown` and `--latex` "
        "print [the table for other programs](report.md#the-table-for-other-programs) and nothing "
        "else. PNG needs the extra: `pip install 'smallsteps[figures]'`.",
        [
            "a folder without a run, or one with damaged files",
            "runs with other test questions, another task or another metric",
            "`--figure` for a run whose arms were measured on validation less than twice",
            "a figure that ends in neither .svg nor .png",
        ],
    ),
    "runs": Description(
        "smallsteps runs",
        "Lists the runs below a folder, the latest first: state (finished, running, stopped or "
        "damaged, with the reason), arms, seeds, the figure of the arm that validation chose, and "
        "when the run last wrote something. `--json` also has the number of graded arms. Symbolic "
        "links and hidden folders are not searched.",
        ["no such folder"],
    ),
    "recipes": Description(
        "smallsteps recipes", "Prints the name of each recipe and what it is for."
    ),
    "teach": Description(
        "smallsteps teach questions.jsonl --teacher MODEL --base-url http://localhost:8000/v1 "
        "--out taught.jsonl",
        "Writes a row for each reply, kept or dropped, in the order of the questions: "
        '`{"id", "question", "answer", "rationale", "predicted", "correct"}`. Samples after the '
        "first have `sample`; dropped rows have `dropped`, the reason. `compare` reads the kept "
        "rows as chains. Replies are stored before they are filtered, so that the same command "
        "never pays for a reply twice. The forecast is printed before the first call. "
        "[Teachers](tailored.md#the-teacher).",
        [
            "no key for a server on another machine",
            "a wrong URL or model",
            "a prompt that needs an answer where a row has none",
            "`--samples` above 1 with temperature 0",
            "a store that is locked or of another version",
            "no replies, or all dropped for the same reason (the rows are written)",
        ],
    ),
    "segment": Description(
        "smallsteps segment my.jsonl --strategy rouge --out segments.jsonl",
        'Writes a row for each chain: `{"id", "question", "answer", "chain", "strategy", '
        '"segments": [{"kind", "text", "score"}]}`. `kind` is `"ES"` or `"AS"`. The joined texts '
        "are the chain. `inter` and `gold` have no `score`. Prints the shares of ES and AS, the "
        "agreement with gold labels where rows have them, and some chains in colour. With "
        "`--agreement` it cuts nothing: it prints how well strategies agree with the labels of the "
        "file ([feedback](feedback.md#labels-of-es-and-as)).",
        [
            "a row that cannot be read",
            "an unknown strategy",
            "`ent` or `loss` without `--student`, `ent*` without `--untrained-student`",
            "`--agreement` where no row has labels",
            "`gold` where a row has no labels",
        ],
    ),
    "solve": Description(
        "smallsteps solve runs/mine questions.jsonl --out answers.jsonl",
        "Prints the answer to a question in quotes, each segment as it is generated. For a file it "
        'writes a row for each question: `{"id", "text", "segments": [{"kind", "text"}], "answer", '
        '"stopped", "tokens"}`. `kind` is null where the student names none, `answer` is null '
        'where none could be extracted. `stopped` is `"stop_sign"`, `"end"`, `"limit"`, `"empty"` '
        'or `"repetition"` (a model that smallsteps did not train is stopped where it repeats '
        "itself or counts on without end); how many ended early is printed. Such a model is also "
        "told to think step by step, if it has a chat template, and its answers are read off "
        "leniently. Where every row has a gold answer, the score is printed too. After an "
        "interruption, the answers so far are in a file beside the output "
        "(`.answers.jsonl.partial`) and are used again for the same questions, model and settings. "
        "An argument is a file where something of that name exists, or where it looks like a file "
        "name (`questions.tsv`, `runs/x`). A space before it makes it a question.",
        [
            "a folder without a student, or a run without a trained one",
            "no `--task` for a student that smallsteps did not train",
            "a file without `--out`",
            "a file that does not exist",
            "a question that is longer than the student can read",
            "an output that another process is writing",
        ],
    ),
    "serve": Description(
        "smallsteps serve runs/mine/arms/direct-seed0/training/candidate-40 bundled --task numbers",
        "Prints the address of the playground and the base URL for clients, and answers until "
        "Ctrl-C. The names of the students are the last parts of their paths. Each request is "
        "logged on standard error: method, path, status, seconds. The playground appends feedback "
        'to a file: `{"id", "question", "rationale", "answer", "verdict", "edited", "student", '
        '"time"}`. See [serving](serving.md).',
        [
            "a folder without a student",
            "more than four students",
            "a port that is in use",
            "another address than this machine's own without a key",
            "a key of fewer than 16 characters",
            "a file of feedback that is none",
        ],
    ),
    "review": Description(
        "smallsteps review my.jsonl --out feedback.jsonl --labels labels.jsonl --port 8102",
        "Prints the address of a page that shows one chain of the file after the other, and answers "
        "until Ctrl-C. Judgements and edited chains are appended as rows of "
        "[feedback](feedback.md#the-file). Labels of ES and AS become rows of a file of chains with "
        "`segments`, which `segment --agreement` reads. The same command goes on where an earlier "
        "one stopped. Only this machine reaches the page. See "
        "[feedback](feedback.md#a-page-for-a-file-of-chains).",
        [
            "a row that cannot be read",
            "a file of feedback or of labels that is none",
            "a port that is in use",
        ],
    ),
    "guide": Description(
        "smallsteps guide hops.jsonl --guide runs/mine/seed0/distilled/candidate-40 "
        "--reader MODEL --base-url http://localhost:8000/v1 --compare --out answers.jsonl",
        'Writes a row for each question, in order: `{"id", "question", "context", "rationale", '
        '"answer", "read_from"}`. `read_from` names the place in the reply that the answer was read '
        "from. "
        "With `--compare`, rows also have `answer_without`. Where gold answers are known, rows "
        "have `correct` (and `correct_without`), and the scores are printed. Replies are stored, "
        "so that the same command never pays for a reply twice. With `--min-factuality`, rows have "
        "`factuality` and `gated`: a [gated](guided.md#a-gate-against-false-rationales) question is "
        "answered without its rationale. With `--compare` beside it, rows also have "
        "`answer_guided` and `correct_guided`, and the gate is compared with no gate.",
        [
            "a row without context",
            "a folder without a student",
            "no key for a server on another machine",
            "a wrong URL or model",
            "a reader whose replies all have no readable answer",
            "a judge without `--min-factuality`, or `--min-factuality` where a row has no context",
        ],
    ),
    "quality": Description(
        "smallsteps quality rationales.jsonl --reference teacher.jsonl --out quality.jsonl",
        'Writes a row for each rationale, in order: `{"id", "factuality", "relevance", '
        '"logicality", "consistency", "coherence", "fluency", "naturalness", "readability"}`, each '
        "from 0 to 1. The first four are null where a question has no context (`--task numbers`), "
        "`fluency` is null without `--student`, `naturalness` without `--reference`. Without "
        "references, fluency is standardised over the rationales themselves. Prints the means. "
        "[What they measure](guided.md#eight-aspects).\n\n"
        "With `--judge endpoint:MODEL` or `local:FOLDER`, "
        "[a chat model rates](guided.md#a-chat-model-as-the-judge) the aspects that no other "
        "option measures; its replies are stored, and `--dry-run` prints what they may cost. "
        "`--sheet` writes [rating sheets](guided.md#people-as-raters) for people instead. "
        "`--ratings` compares filled sheets with each other and with `--scores`; with `--out`, the "
        "agreements are rows too.",
        [
            "a row without question, context or rationale",
            "a judge that is no model of natural-language inference (by its labels)",
            "a chat model none of whose ratings can be read, or a limit that ends the job: the "
            "same command continues",
            "a filled sheet of other rationales, or a cell that is no whole number from 1 to 5",
        ],
    ),
    "export": Description(
        "smallsteps export runs/mine/arms/direct-seed0/training/candidate-40 --to published",
        "Writes the best student of a run, or the student of a folder, as a folder of its own: "
        "weights, tokenizer, chat template, ends of a reply and model card, all or nothing. "
        "`--format ollama` adds a Modelfile, `--format vllm` prints the command line; both take "
        "causal students. `--push OWNER/NAME` prints what would be uploaded to the Hugging Face "
        "Hub, and `--yes` uploads it; without `--to`, FOLDER is uploaded as it is. See "
        "[publishing](publishing.md).",
    ),
    "grade": Description(
        "smallsteps grade answers.jsonl gold.jsonl --task numbers",
        "Prints the score with its 95 % interval, n, unparsed answers and settings. A prediction "
        "row needs only `id` and `text`, as any tool writes it. The answer is extracted by the "
        "task's strict rule; with `--lenient` by the rule for teachers' replies and untrained "
        "students, which also reads rows whose answer is null. `--rows OUT.jsonl` writes one row "
        "for each prediction, in order: `id`, `answer` (null: none), `correct`. A problem without "
        "a prediction counts as wrong. How the text was decoded is not known: the score says "
        "`decode:unknown` and names no seed.",
        [
            "a gold row without an answer",
            "a prediction for a problem that is not in the gold file",
            "two predictions for one problem",
        ],
    ),
}


class Parameter(NamedTuple):
    """A row of a table: an argument or an option."""

    name: str
    value: str
    """What stands for the value; empty for a flag."""
    default: str
    help: str
    is_argument: bool
    may_repeat: bool


VALUE_NAMES = {int: "INTEGER", float: "NUMBER", Path: "PATH", str: "TEXT"}


def page() -> str:
    """The whole text of cli.md."""
    commands = {command.__name__: command for command in COMMANDS}
    if set(commands) != set(DESCRIPTIONS):
        raise SystemExit(
            f"DESCRIPTIONS in {__file__} must describe {sorted(commands)}, "
            f"it describes {sorted(DESCRIPTIONS)}"
        )
    contents = [
        f"| [`{name}`](#smallsteps-{name}) | {_summary(command)} |"
        for name, command in commands.items()
    ]
    sections = [_section(name, command) for name, command in commands.items()]
    table = ["| command | what it does |", "|---|---|", *contents, ""]
    return "\n".join([HEAD, *table, CODES, *sections]).rstrip() + "\n"


def _section(name: str, command: Callable[..., Any]) -> str:
    description = DESCRIPTIONS[name]
    lines = [
        f"## smallsteps {name}",
        "",
        _summary(command),
        "",
        "```bash",
        description.example,
        "```",
        "",
        _wrapped(description.writes),
    ]
    if description.refuses:
        lines += [
            "",
            "Ends with exit code 2 on:",
            "",
            *(_item(text) for text in description.refuses),
        ]
    rows = [_row(parameter) for parameter in parameters(command)]
    if rows:
        lines += ["", "| argument or option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join([*lines, ""])


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _item(text: str) -> str:
    return _wrapped(f"- {text}", indent="  ")


def _row(parameter: Parameter) -> str:
    name = f"{parameter.name} {parameter.value}".rstrip()
    is_repeated_option = parameter.may_repeat and not parameter.is_argument
    repeats = " May be given several times." if is_repeated_option else ""
    return f"| `{name}` | {parameter.default} | {parameter.help}{repeats} |"


def _summary(command: Callable[..., Any]) -> str:
    return _escaped(inspect.getdoc(command) or "")


def parameters(command: Callable[..., Any]) -> list[Parameter]:
    """A command's arguments, then its options, each in the order of the signature."""
    hints = get_type_hints(command, include_extras=True)
    found = [
        _parameter(parameter, hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if hints[parameter.name] is not typer.Context  # typer fills it in
    ]
    return sorted(found, key=lambda parameter: not parameter.is_argument)


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"{parameter.name}: expected Annotated[type, typer.Option(...)]")
    kind, info = get_args(hint)
    if get_origin(kind) in (UnionType, Union):
        kind = next(member for member in get_args(kind) if member is not NoneType)
    may_repeat, is_pair = get_origin(kind) is list, get_origin(kind) is tuple
    kind = get_args(kind)[0] if may_repeat or is_pair else kind
    is_argument = isinstance(info, ArgumentInfo)
    if is_argument:
        name, value = f"{parameter.name.upper()}{'...' if may_repeat else ''}", ""
    else:  # inside Annotated, typer keeps the name of an option as its default
        name = info.default
        value = "" if kind is bool else info.metavar or VALUE_NAMES[kind]
        value = f"{value} {value}" if is_pair else value
    default = _default(parameter.default)
    return Parameter(name, value, default, _escaped(info.help), is_argument, may_repeat)


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "*required*"
    if value is None or value is False:
        return ""
    return f"`{' '.join(map(str, value)) if isinstance(value, tuple) else value}`"


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
