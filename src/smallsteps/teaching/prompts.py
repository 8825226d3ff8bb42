"""Prompts for teachers and readers: files that anyone may read and change.

A prompt file holds the messages of one request, each under its role in brackets:

    [system]
    You write model solutions …

    [user]
    {{ question }}

Between double braces stand `question` (as the task puts it, with choices or context), `answer`
(gold), `attempt` (a wrong rationale), `reasoning` (a rationale to answer with) and `closing` (the
sentence that a chain ends in, with … for the answer; empty where the task has none). Jinja2's `if`,
`for`, `set` and simple filters are there too, within bounds of time and size (`templates.py`). The
package brings for teachers `initial` (question → rationale), `feedback` (question, gold answer,
wrong rationale → the rationale that addresses the mistake), `blind` (the same without the mistake)
and `cot` (question → reasoning and prediction); for readers `standard` (question → prediction),
`cot` and `read` (question, rationale → prediction), and each of the three in a `-short` form,
without instructions, for small models that are trained to read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.records import Problem
from smallsteps.tasks.base import Task
from smallsteps.teaching.templates import TemplateFault, compiled, render

BUNDLED = (
    "initial",
    "feedback",
    "blind",
    "standard",
    "cot",
    "read",
    "standard-short",
    "cot-short",
    "read-short",
)
FIELDS = ("question", "answer", "attempt", "reasoning", "closing")
ROLES = ("system", "user", "assistant")
MOST_BYTES = 1_000_000
"""Of a prompt file."""


@dataclass(frozen=True)
class Prompt:
    """The messages of one request, before anything is filled in."""

    name: str
    templates: tuple[tuple[str, str], ...]
    """(role, Jinja2 template) in order."""
    lines: tuple[int, ...] = ()
    """Lines of the file at which the templates begin."""

    def render(
        self, task: Task, problem: Problem, attempt: str | None = None, reasoning: str | None = None
    ) -> tuple[tuple[str, str], ...]:
        """(role, content) for one problem. Raises DataError where the prompt asks for what is not
        there."""
        given = {
            "question": task.render(problem),
            "closing": task.closing.format(answer="…") if task.closing else "",
            **({} if problem.answer is None else {"answer": problem.answer}),
            **({} if attempt is None else {"attempt": attempt}),
            **({} if reasoning is None else {"reasoning": reasoning}),
        }
        filled = []
        for number, (role, template) in enumerate(self.templates):
            try:
                content = render(compiled(template, FIELDS), given).strip()
            except TemplateFault as fault:
                raise DataError(
                    f"prompt {self.name}, problem {problem.id}: {fault} ({self._place(number, fault)}). A prompt may name "
                    f"{', '.join(FIELDS)}; `answer` needs a gold answer in the row, `attempt` a wrong rationale, `reasoning` "
                    "one to answer with."
                ) from None
            filled.append((role, content))
        if not filled[-1][1]:
            raise DataError(
                f"prompt {self.name}, problem {problem.id}: its last message is empty. Let it show {{{{ question }}}}."
            )
        return tuple((role, content) for role, content in filled if content)

    def _place(self, number: int, fault: TemplateFault) -> str:
        return f"{self.name}:{self.lines[number] + fault.line - 1 if self.lines else fault.line}"


def read_prompt(name: str) -> Prompt:
    """A bundled prompt by name, or a file of your own. Raises RecipeError where there is none or
    where it is not one."""
    if name in BUNDLED:
        text = (
            resources.files("smallsteps.teaching")
            .joinpath(f"prompts/{name}.txt")
            .read_text(encoding="utf-8")
        )
        return parse_prompt(name, text)
    path = Path(name)
    try:
        if not path.is_file():
            raise RecipeError(f"prompt {name!r}: no such file.{nearest(name, BUNDLED)}")
        if path.stat().st_size > MOST_BYTES:
            raise RecipeError(f"prompt {name}: larger than {MOST_BYTES:,} bytes; is it a prompt?")
        return parse_prompt(name, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise RecipeError(f"prompt {name}: not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise RecipeError(f"prompt {name}: cannot be read ({error.strerror}).") from None


def check_prompts(names: Iterable[str], task: Task, problem: Problem) -> None:
    """Fills each prompt in once, for `problem`, so that its faults show before the first call and
    the first training.

    Raises RecipeError for a prompt that is not there or is none, DataError for one that cannot be
    filled in."""
    known = problem if problem.answer is not None else replace(problem, answer="0")
    for name in names:
        read_prompt(name).render(task, known, attempt="So it is.", reasoning="So it is.")


def parse_prompt(name: str, text: str) -> Prompt:
    """The prompt that `text` describes."""
    pieces = re.split(rf"^\[({'|'.join(ROLES)})\][ \t]*$", text, flags=re.MULTILINE)
    if pieces[0].strip() or len(pieces) < 3:
        raise RecipeError(
            f"prompt {name}: begin each message with a line [system], [user] or [assistant]."
        )
    roles, bodies = pieces[1::2], pieces[2::2]
    prompt = Prompt(
        name,
        tuple((role, body.strip()) for role, body in zip(roles, bodies, strict=True)),
        tuple(_lines_of(pieces)),
    )
    if roles[-1] != "user":
        raise RecipeError(f"prompt {name}: the last message is [{roles[-1]}], expected [user].")
    for number, (_, template) in enumerate(prompt.templates):
        try:
            compiled(template, FIELDS)
        except TemplateFault as fault:
            raise RecipeError(
                f"prompt {prompt._place(number, fault)}: {fault}. A prompt may name {', '.join(FIELDS)}."
            ) from None
    return prompt


def _lines_of(pieces: Sequence[str]) -> Iterator[int]:
    """The line at which each message of a file begins: (text before, role, message, role, message,
    …)."""
    line = 1 + pieces[0].count("\n")
    for body in pieces[2::2]:
        blank = len(body) - len(body.lstrip())
        yield line + body[:blank].count("\n")
        line += body.count("\n")
