"""The model card of a student: `README.md` beside its weights, with metadata that the Hub reads.

`Student.save` writes a card without figures. Once a run is graded, `publishing/run_cards.py` writes
the cards of its students again, with what they reached and how they were taught. So no manifest
names a card (`disk.CARD`), and a killed run loses none.

All text of users (titles, names of files and arms) is escaped: in YAML by PyYAML, in Markdown by
`plain`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from smallsteps import __version__
from smallsteps.disk import CARD, write_text
from smallsteps.errors import RecipeError
from smallsteps.records import Problem
from smallsteps.students.driving import (
    PLACEHOLDER,
    ModelPair,
    SingleModel,
    asked,
    driving_code,
)
from smallsteps.students.settings import BUNDLED_STUDENTS, SMOLLM2
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
APACHE = "apache-2.0"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Owner and name of a model or data set on the Hub."""
PIPELINE = "text-generation"
"""The Hub's name of what students do. It has no other one for encoder-decoders any more."""
METADATA = "smallsteps"
"""Key of the metadata that smallsteps alone reads."""
FROM_DATA = "The question comes from the data of its run."
Section = tuple[str, Sequence[str]]
"""A heading and its paragraphs, in Markdown."""


@dataclass(frozen=True)
class Origin:
    """Where the weights came from before they were trained, as far as that is known."""

    base_model: str | None = None
    """On the Hub."""
    license: str | None = None
    """Of these weights, by the Hub's name."""
    text: str = "The base model is not known."


@dataclass(frozen=True)
class CardContent:
    """What a card says beyond what the student itself tells."""

    title: str = "A student of smallsteps"
    what: Sequence[str] = ()
    """Paragraphs after the first one, in Markdown: how it was taught, what it reached."""
    sections: Sequence[Section] = ()
    """Further sections, before "How to use it"."""
    tags: Sequence[str] = ()
    datasets: Sequence[str] = ()
    """Names on the Hub."""
    figures: Sequence[EvalResult] = field(default_factory=list)
    example: Problem = PLACEHOLDER
    """The question that the card shows how to ask."""


def origin_of(name: str) -> Origin:
    """What is known of the model `name`: a name on the Hub, `smollm2`, a bundled student, or a
    folder, whose own card may tell."""
    if name == SMOLLM2:
        return Origin(SMOLLM2_HUB, APACHE, f"Base model: {SMOLLM2_HUB}.")
    if name in BUNDLED_STUDENTS:
        return Origin(None, APACHE, f"Base model: the student `{name}` that smallsteps ships.")
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return _origin_in(folder)
    if HUB_NAME.fullmatch(name):
        return Origin(name, None, f"Base model: {name}.")
    return Origin()


def _origin_in(folder: Path) -> Origin:
    metadata = card_metadata(folder)
    base, license_name = metadata.get("base_model"), metadata.get("license")
    base = base if isinstance(base, str) and HUB_NAME.fullmatch(base) else None
    license_name = license_name if isinstance(license_name, str) else None
    text = f"Base model: {base}." if base else "The base model came from a folder without a name."
    return Origin(base, license_name, text)


def card_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of the card in a folder; empty where there is none that can be read."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
        _, front, _ = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
        content = yaml.safe_load(front)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def card_title(folder: Path) -> str | None:
    """The name of the model on the card in a folder, where it has figures; else None."""
    match card_metadata(folder).get("model-index"):
        case [{"name": str(name)}, *_]:
            return name
    return None


def example_on_card(folder: Path) -> Problem | None:
    """The question that the card in a folder asks; None: none of the user's data."""
    match card_metadata(folder).get(METADATA):
        case {"example": {"question": str(), **rest} as row} if rest.keys() <= {
            "choices",
            "context",
        }:
            return Problem.from_row({"id": "example", **row})
    return None


def write_card(
    folder: Path,
    student: SingleModel | ModelPair,
    origin: Origin | None = None,
    content: CardContent | None = None,
) -> Path:
    """Writes the card into the student's folder, whole or not at all; returns its path. origin:
    None is that of the student's own name."""
    path = folder / CARD
    write_text(path, card_text(student, origin or origin_of(student.name), content))
    return path


def card_text(
    student: SingleModel | ModelPair, origin: Origin, content: CardContent | None = None
) -> str:
    """The whole card."""
    content = content or CardContent()
    task = task_of(student)
    sections: list[Section] = [
        *content.sections,
        *([("How to use it", _use(student, task, content.example))] if task is not None else []),
        ("Limits", _limits(student, task)),
        ("License", _license(origin)),
    ]
    body = [f"# {plain(content.title)}", _what_it_is(student, task), *content.what]
    for heading, paragraphs in sections:
        body += [f"## {heading}", *paragraphs]
    made_by = f"Made with smallsteps {__version__}."
    return f"{_metadata(student, task, origin, content)}\n" + "\n\n".join([*body, made_by]) + "\n"


def plain(text: str) -> str:
    """Text in one line of Markdown that shows as it is.

    >>> print(plain("a*b\\n# c | <img>"))
    a\\*b \\# c \\| &lt;img&gt;
    """
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", line)


def fenced(text: str, language: str = "") -> str:
    """A block of code; its fence is longer than every run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are escaped."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _metadata(
    student: SingleModel | ModelPair, task: Task | None, origin: Origin, content: CardContent
) -> str:
    from huggingface_hub import ModelCardData

    kind = "segment-wise" if by_segment(student) else None
    tags = ["smallsteps", "reasoning", "chain-of-thought", kind, *content.tags]
    data = ModelCardData(
        license=origin.license,
        language=task.language if task is not None else None,
        base_model=origin.base_model,
        datasets=list(content.datasets) or None,
        library_name="transformers",
        pipeline_tag=PIPELINE,
        tags=[tag for tag in dict.fromkeys(tags) if tag],
        model_name=" ".join(content.title.split()) if content.figures else None,
        eval_results=list(content.figures) or None,
        **_example_metadata(content.example),
    )
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n"


def _example_metadata(example: Problem) -> dict[str, Any]:
    """The example in the metadata, from which a later card takes it (`example_on_card`)."""
    if example is PLACEHOLDER:
        return {}
    shown = Problem("example", example.question, choices=example.choices, context=example.context)
    return {METADATA: {"example": {key: row for key, row in shown.to_row().items() if key != "id"}}}


def by_segment(student: SingleModel | ModelPair) -> bool:
    """Whether the student writes its chains segment by segment."""
    return student.drive is not None and student.drive.path != "direct"


def task_of(student: SingleModel | ModelPair) -> Task | None:
    """The task that a student was taught; None: none that smallsteps knows."""
    if student.drive is None:
        return None
    try:
        return get_task(student.drive.task)
    except RecipeError:  # a task of the user's own program
        return None


def _what_it_is(student: SingleModel | ModelPair, task: Task | None) -> str:
    first = student.es if isinstance(student, ModelPair) else student
    size = sum(weight.numel() for weight in first.model.parameters())
    kind = "A causal" if student.architecture == "causal" else "An encoder-decoder"
    model = f"language model ({first.model.config.model_type}, {_count(size)} parameters)"
    doing = "answers questions with a chain of thought"
    if task is not None:
        doing += f": questions of the kind `{task.name}`"
    if isinstance(student, ModelPair):
        return (
            f"A pair that {doing}. Two models write in turn: `es/` the extractive segments of the "
            f"chain, `as/` the abstractive ones. {kind} {model} each."
        )
    if first.drive is not None and first.drive.role is not None:
        other = "as/" if first.drive.role == "ES" else "es/"
        doing = (
            f"is one half of a pair. It writes the {first.drive.role} segments of a chain of "
            f"thought, in turn with `{other}` beside it"
        )
    return f"{kind} {model} that {doing}."


def _count(number: int) -> str:
    """A number of parameters: `135 million`."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:,}"


def solve_line(folder: str, task: Task, example: Problem) -> str:
    """The command that asks the student in `folder`."""
    command = f"smallsteps solve {shlex.quote(folder)}"
    if task.context is not None:  # which a question in the shell does not have
        return f"{command} questions.jsonl --out answers.jsonl"
    return f"{command} {shell_quoted(asked(task, example))}"


def shell_quoted(text: str) -> str:
    """Text as one word of a shell, in the quotes that leave it readable.

    >>> print(shell_quoted("Ann's 3 pens?"), shell_quoted("$5?"))
    "Ann's 3 pens?" '$5?'
    """
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'


def _use(student: SingleModel | ModelPair, task: Task, example: Problem) -> list[str]:
    drive = student.drive
    if drive is not None and drive.role is not None and not isinstance(student, ModelPair):
        return ["Use the folder above this one: it holds both halves of the pair and its own card."]
    lines = [
        "With smallsteps, which knows how this student is driven (`smallsteps.json`):",
        fenced(solve_line(".", task, example), "bash"),
    ]
    if example is not PLACEHOLDER:
        lines.append(FROM_DATA)
    if by_segment(student):
        lines.append(_segments_explained(student))
    lines += ["With transformers alone:", fenced(driving_code(student, task, example), "python")]
    return lines


def _segments_explained(student: SingleModel | ModelPair) -> str:
    if isinstance(student, ModelPair):
        how = "The two models take turns, extractive (`es/`) first. A server of one model cannot "
        return how + "drive them: the program below calls them in turn."
    if student.architecture == "causal":
        return (
            "It writes its chain **segment by segment**: `<es>` at the end of the prompt opens the "
            "first segment, and each segment ends in the marker of the next one, `<es>` "
            "(extractive) or `<as>` (abstractive). A plain server that is given the prompt with "
            "`<es>` writes the whole chain in one reply, with the markers in it; it stops at the "
            "end of the text, not at the closing sentence. The program below stops there."
        )
    return (
        "It writes its chain **segment by segment**: each call writes one segment, and the next "
        "call reads the question and all segments so far. A plain server that is asked once "
        "writes the first segment and no answer. The program below loops."
    )


def _limits(student: SingleModel | ModelPair, task: Task | None) -> list[str]:
    lines = [
        "- It is small. It was taught one kind of question; on others its answers mean little.",
        "- A chain that reads well can be wrong. Check what depends on it.",
    ]
    first = student.es if isinstance(student, ModelPair) else student
    if first.max_source_tokens is not None:
        lines.append(f"- It reads and writes at most {first.max_source_tokens:,} tokens.")
    if task is not None and not by_segment(student):
        lines.append(f"- A chain has at most {task.max_chain_tokens} tokens, written greedily.")
    if first.drive is not None and first.drive.characters:
        lines.append(
            f"- Its tokenizer lacked {len(first.drive.characters)} characters, which have tokens "
            "of their own. Only smallsteps reads the spaces beside them as in training."
        )
    if task is None:
        lines.append("- Its task is not one of smallsteps' own: see the program that taught it.")
    return ["\n".join(lines)]


def _license(origin: Origin) -> list[str]:
    if origin.license is not None:
        return [f"{origin.text} License: {plain(origin.license)}, as that of the base model."]
    return [
        f"{origin.text} Its license is not known here, so the metadata names none: look it up, "
        "and add `license:` before you publish."
    ]
