"""Prompts for teachers, readers and judges: text files that anyone can read and change.

A prompt file holds the messages of one request, each below its role in brackets:

    [system]
    You write model solutions …

    [user]
    {{ question }}

Fields in double braces:

- `question`: the question as the task puts it, with choices and context; in a prompt that names
  `context` too, the question without its context
- `context`: the context, where the task's questions have one
- `answer`: the gold answer
- `attempt`: a wrong rationale
- `reasoning`: a rationale to answer with
- `closing`: the task's closing sentence, with … for the answer; empty where the task has none

Jinja2's `if`, `for`, `set` and simple filters also work, within bounds of time and size
(`templates.py`). Bundled prompts:

- for teachers: `initial` (question → rationale), `feedback` (question, gold answer, wrong rationale
  → a rationale that corrects the mistake), `blind` (as `feedback`, without the wrong rationale)
- for students before training: `zero-shot` (question → chain with the task's closing)
- for readers: `standard` (question → prediction), `cot` (question → reasoning and prediction),
  `read` (question, rationale → prediction); each also in a `-short` form without instructions, for
  small models that are trained to read it

The prompts of judges have other fields (`quality/judge_prompts.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.records import Problem
from smallsteps.tasks.base import Task
from smallsteps.teaching.templates import TemplateFault, compiled, named_fields, render

BUNDLED_PROMPTS = (
    "initial",
    "feedback",
    "blind",
    "zero-shot",
    "standard",
    "cot",
    "read",
    "standard-short",
    "cot-short",
    "read-short",
)
FIELDS = ("question", "context", "answer", "attempt", "reasoning", "closing")
NEEDED_FOR_FIELDS = (
    "`context` needs a task whose questions have one, `answer` a gold answer in the row, `attempt` "
    "a wrong rationale, `reasoning` a rationale."
)
ROLES = ("system", "user", "assistant")
MAX_BYTES = 1_000_000
"""Size of a prompt file."""


@dataclass(frozen=True)
class Prompt:
    """The messages of one request, before the fields are filled in."""

    name: str
    templates: tuple[tuple[str, str], ...]
    """(role, Jinja2 template), in order."""
    first_lines: tuple[int, ...] = ()
    """Line of the file at which each template begins."""
    fields: tuple[str, ...] = FIELDS
    """What the templates may name."""

    @cached_property
    def names_context(self) -> bool:
        """Whether it puts the context itself."""
        return any("context" in named_fields(template) for _, template in self.templates)

    def render(
        self, task: Task, problem: Problem, attempt: str | None = None, reasoning: str | None = None
    ) -> tuple[tuple[str, str], ...]:
        """(role, content) of each message for one problem. Raises DataError where the prompt needs
        a field that is not given."""
        values = {"closing": task.closing.format(answer="…") if task.closing else ""}
        if task.context is not None and self.names_context:
            values |= {"question": problem.question.strip(), "context": task.context(problem)}
        else:
            values["question"] = task.render(problem)
        optional = {"answer": problem.answer, "attempt": attempt, "reasoning": reasoning}
        values |= {name: value for name, value in optional.items() if value is not None}
        return self.fill(values, problem.id, NEEDED_FOR_FIELDS)

    def fill(
        self, values: Mapping[str, str], problem_id: str, hint: str = ""
    ) -> tuple[tuple[str, str], ...]:
        """(role, content) of each message with `values`, field → text. Raises DataError, which
        ends in `hint`, where the prompt needs a field that is not given."""
        messages = []
        for index, (role, template) in enumerate(self.templates):
            try:
                content = render(compiled(template, self.fields), values).strip()
            except TemplateFault as fault:
                raise DataError(
                    f"prompt {self.name}, problem {problem_id}: {fault} "
                    f"({self.place_of(index, fault)}). A prompt may name {', '.join(self.fields)}. "
                    f"{hint}".rstrip()
                ) from None
            messages.append((role, content))
        if not messages[-1][1]:
            raise DataError(
                f"prompt {self.name}, problem {problem_id}: its last message is empty. "
                "Let it show {{ question }}."
            )
        return tuple((role, content) for role, content in messages if content)

    def place_of(self, index: int, fault: TemplateFault) -> str:
        """`file:line` of a fault in the message at `index`."""
        first_line = self.first_lines[index] if self.first_lines else 1
        return f"{self.name}:{first_line + fault.line - 1}"


def read_prompt(name: str) -> Prompt:
    """A bundled prompt by name, or the prompt in a file. Raises RecipeError where the file does not
    exist or is no prompt."""
    if name in BUNDLED_PROMPTS:
        text = (
            resources.files("smallsteps.teaching")
            .joinpath(f"prompts/{name}.txt")
            .read_text(encoding="utf-8")
        )
        return parse_prompt(name, text)
    return read_prompt_file(name)


def read_prompt_file(name: str, fields: tuple[str, ...] = FIELDS) -> Prompt:
    """The prompt in the file `name`, which may name `fields`. Raises RecipeError where the file
    does not exist or is no prompt."""
    path = Path(name)
    try:
        if not path.is_file():
            raise RecipeError(f"prompt {name!r}: no such file.{nearest(name, BUNDLED_PROMPTS)}")
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"prompt {name}: larger than {MAX_BYTES:,} bytes; is it a prompt?")
        return parse_prompt(name, path.read_text(encoding="utf-8-sig"), fields)
    except UnicodeDecodeError:
        raise RecipeError(f"prompt {name}: not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise RecipeError(f"prompt {name}: cannot be read ({error.strerror}).") from None


def check_prompts(names: Iterable[str], task: Task, problem: Problem) -> None:
    """Renders each prompt once, for `problem`, so that faults show before the first call and before
    any training.

    Raises RecipeError where a prompt does not exist or is no prompt, DataError where it cannot be
    rendered."""
    with_answer = problem if problem.answer is not None else replace(problem, answer="0")
    for name in names:
        read_prompt(name).render(task, with_answer, attempt="So it is.", reasoning="So it is.")


def parse_prompt(name: str, text: str, fields: tuple[str, ...] = FIELDS) -> Prompt:
    """The prompt in `text`, which may name `fields`. Raises RecipeError where it is no prompt."""
    pieces = re.split(rf"^\[({'|'.join(ROLES)})\][ \t]*$", text, flags=re.MULTILINE)
    if pieces[0].strip() or len(pieces) < 3:
        raise RecipeError(
            f"prompt {name}: begin each message with a line [system], [user] or [assistant]."
        )
    roles, bodies = pieces[1::2], pieces[2::2]
    prompt = Prompt(
        name,
        tuple((role, body.strip()) for role, body in zip(roles, bodies, strict=True)),
        tuple(_first_lines(pieces)),
        fields,
    )
    if roles[-1] != "user":
        raise RecipeError(f"prompt {name}: the last message is [{roles[-1]}], expected [user].")
    for index, (_, template) in enumerate(prompt.templates):
        try:
            compiled(template, fields)
        except TemplateFault as fault:
            raise RecipeError(
                f"prompt {prompt.place_of(index, fault)}: {fault}. "
                f"A prompt may name {', '.join(fields)}."
            ) from None
    return prompt


def _first_lines(pieces: Sequence[str]) -> Iterator[int]:
    """The line at which each message begins. pieces: text before, role, message, role, message,
    …"""
    line = 1 + pieces[0].count("\n")
    for body in pieces[2::2]:
        blank = len(body) - len(body.lstrip())
        yield line + body[:blank].count("\n")
        line += body.count("\n")
