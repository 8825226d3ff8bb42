"""Export: a student's folder, ready for transformers, Ollama or vLLM.

    hf       weights, tokenizer, chat template, ends of a reply, `smallsteps.json`, model card
    ollama   the same and a Modelfile
    vllm     the same, a chat template where the student's own one is not its whole prompt, and the
             command line

The folder appears whole or not at all, and loads in smallsteps as before. LoRA adapters are merged:
folders of smallsteps have none, and a student in memory is saved without them."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from smallsteps.disk import CARD, atomic_folder, read_object
from smallsteps.errors import RecipeError, StudentError, nearest
from smallsteps.faults import names_faults
from smallsteps.outputs import check_output_folder, writing
from smallsteps.publishing.run_cards import card_of_run
from smallsteps.publishing.run_of_student import example_of
from smallsteps.publishing.servers import (
    MODELFILE,
    TEMPLATE,
    check_server,
    modelfile,
    ollama_lines,
    vllm_lines,
    vllm_template,
)
from smallsteps.records import Problem
from smallsteps.students.card import (
    CardContent,
    Section,
    card_title,
    fenced,
    origin_of,
    solve_line,
    write_card,
)
from smallsteps.students.drive import DRIVE_FILE
from smallsteps.students.driving import asked
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import outline
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.run_student import folders_beside, student_place
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

Format = Literal["hf", "ollama", "vllm"]
FORMATS: tuple[Format, ...] = get_args(Format)
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template.*",
    "LICENSE*",
    DRIVE_FILE,
)
"""Names of files that belong to a student; what else lies in its folder stays there."""
LONGEST_NAME = 80
"""Characters of a name that Ollama takes."""
SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff")
"""Keys of generation_config.json that would make servers sample."""


@dataclass(frozen=True)
class ExportPlan:
    """What an export will write, checked."""

    source: Path
    """The student's folder."""
    to: Path
    format: Format
    student: Student | DualStudent
    """Without its weights."""
    task: Task
    name: str
    """What servers call the model."""
    example: Problem
    """The question that the card and the commands ask."""
    more_files: dict[str, str]
    """Name → text of the files that the format adds."""

    @property
    def files(self) -> list[str]:
        """Names of the files of the exported folder, in order."""
        names = [path.relative_to(self.source).as_posix() for path in _model_files(self.source)]
        cards = [CARD, *(f"{half}/{CARD}" for half in _halves(self.source))]
        return sorted({*names, *cards, *self.more_files})

    def commands(self) -> list[str]:
        """What to type to use the exported folder."""
        question = asked(self.task, self.example)
        if self.format == "ollama":
            return ollama_lines(self.to, self.name, question)
        if self.format == "vllm" and isinstance(self.student, Student):
            template = self.to / TEMPLATE if TEMPLATE in self.more_files else None
            return vllm_lines(self.to, template, self.name, self.student, self.task, question)
        return [solve_line(str(self.to), self.task, self.example)]


def plan_export(folder: str | Path, to: Path, form: str = "hf") -> ExportPlan:
    """Checks everything and writes nothing. folder: a student, or a finished run, whose best
    student is taken. Raises UserError: no student, a format that cannot take it, or a folder `to`
    that is not free."""
    if form not in FORMATS:
        raise RecipeError(f"--format {form!r} is not known.{nearest(form, FORMATS)}")
    source = student_folder(folder)
    _check_free(to)
    student = outline(source)
    if student.drive is None:
        raise StudentError(
            f"{folder} has no {DRIVE_FILE}: it was not trained by smallsteps, so there is nothing "
            "to add. Publish it as it is."
        )
    task = get_task(student.drive.task)
    more_files: dict[str, str] = {}
    if form == "ollama":
        more_files[MODELFILE] = modelfile(check_server(student, "Ollama"), task)
    elif form == "vllm":
        template = vllm_template(check_server(student, "vLLM"), task)
        if template is not None:
            more_files[TEMPLATE] = template
    example = example_of(source, task)
    checked: Any = form
    return ExportPlan(source, to, checked, student, task, model_name(source), example, more_files)


def model_name(source: Path) -> str:
    """What servers call a student: the name on its card, or else that of its folder, as Ollama and
    URLs can have it."""
    in_run = card_of_run(source)
    title = in_run[1].title if in_run is not None else card_title(source)
    return server_name(title or source.resolve().name)


def server_name(title: str) -> str:
    """A title in lower case, of letters, digits and single `.`, `_` and `-` inside.

    >>> server_name("Mine: cue (β = 1.5)"), server_name("数学")
    ('mine-cue-1.5', 'student')
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._]+", "-", plain)[:LONGEST_NAME].strip("-._")
    return re.sub(r"[-._]*-[-._]*", "-", name) or "student"


def student_folder(folder: str | Path) -> Path:
    """The folder of a student: `folder` itself, or the best student of the finished run that it
    holds. Raises UserError where there is none."""
    folder = student_place(folder)
    path = Path(folder).expanduser()
    if (path / "es").is_dir() and (path / DRIVE_FILE).is_file():
        return path
    files = ModelFiles.locate(folder)
    if not Path(files.source).is_dir():
        raise StudentError(
            f"{folder}: no such folder. Name the folder of a student, or of a run."
            f"{folders_beside(folder)}"
        )
    return Path(files.source)


def _check_free(to: Path) -> None:
    check_output_folder(to, "--to")
    if to.is_dir() and any(to.iterdir()):
        raise RecipeError(f"--to {to}: not empty. Name a new folder.")


def write_export(plan: ExportPlan) -> Path:
    """Writes the folder, whole or not at all; returns it."""
    with writing(plan.to), atomic_folder(plan.to) as draft:
        for path in _model_files(plan.source):
            place = draft / path.relative_to(plan.source)
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
        for name, text in plan.more_files.items():
            (draft / name).write_text(text, encoding="utf-8", newline="\n")
        _complete(draft, plan)
    return plan.to


@names_faults
def export(student: Student | DualStudent | str | Path, to: Path | str, form: str = "hf") -> Path:
    """Writes a student, or the best one of a run, into the folder `to`; returns it. form: `hf`,
    `ollama` or `vllm`. A student in memory is saved first, its LoRA adapters merged. Raises
    UserError like `plan_export`."""
    to = Path(to)
    if isinstance(student, (Student, DualStudent)):
        _check_free(to)
        to.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=to.parent, prefix=".") as place:
            return write_export(plan_export(student.save(Path(place) / "student"), to, form))
    return write_export(plan_export(student, to, form))


def _complete(draft: Path, plan: ExportPlan) -> None:
    """Ends of a reply and cards of the exported folder."""
    student = plan.student
    halves = {"es": student.es, "as": student.as_} if isinstance(student, DualStudent) else {}
    for folder, model in ((draft / name, half) for name, half in halves.items()):
        _write_generation(folder, model)
        write_card(folder, model, origin_of(str(plan.source / folder.name)))
    if isinstance(student, Student):
        _write_generation(draft, student)
    origin, content = card_of_run(plan.source) or (origin_of(str(plan.source)), CardContent())
    sections = [*content.sections, *_served(plan)]
    content = replace(content, sections=sections, example=plan.example)
    write_card(draft, student, origin, content)


def _write_generation(folder: Path, student: Student) -> None:
    """generation_config.json: every id at which a reply ends, and greedy decoding."""
    path = folder / "generation_config.json"
    content = read_object(path) if path.is_file() else {}
    content = {key: value for key, value in content.items() if key not in SAMPLING}
    ends = sorted(student.end_ids)
    content["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    content["pad_token_id"] = student.pad_id
    if student.start_id is not None:
        content["decoder_start_token_id"] = student.start_id
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _served(plan: ExportPlan) -> list[Section]:
    """The section of the card on the server that the folder was exported for."""
    if plan.format == "hf":
        return []
    here = replace(plan, to=Path())
    names = {"ollama": "Ollama", "vllm": "vLLM"}
    lines = [fenced("\n".join(here.commands()), "bash")]
    return [(f"Serve it with {names[plan.format]}", lines)]


def exported_files(folder: Path) -> list[str]:
    """Names of the files of a student's folder, cards and what an export added included."""
    names = [path.relative_to(folder).as_posix() for path in _model_files(folder)]
    more = [CARD, MODELFILE, TEMPLATE, *(f"{half}/{CARD}" for half in _halves(folder))]
    return sorted([*names, *(name for name in more if (folder / name).is_file())])


def _halves(source: Path) -> Sequence[str]:
    return ("es", "as") if (source / "es").is_dir() else ()


def _model_files(source: Path) -> list[Path]:
    """The files of a student or pair."""
    folders = [source, *(source / half for half in _halves(source))]
    return [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in MODEL_FILES)
    ]
