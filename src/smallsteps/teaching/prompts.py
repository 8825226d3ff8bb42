"""Prompts for teachers and readers: files that anyone may read and change.

A prompt file holds the messages of one request, each under its role in brackets:

    [system]
    You write model solutions …

    [user]
    {{ question }}

Between double braces stand `question` (as the task puts it, with choices or context), `answer` (gold), `attempt` (a wrong
rationale), `reasoning` (a rationale to answer with) and `closing` (the sentence that a chain ends in, with … for the answer;
empty where the task has none). Jinja2's `if` is there too. The package brings for teachers `initial` (question →
rationale), `feedback` (question, gold answer, wrong rationale → the rationale that addresses the mistake), `blind` (the
same without the mistake) and `cot` (question → reasoning and prediction); for readers `standard` (question → prediction),
`cot` and `read` (question, rationale → prediction), and each of the three in a `-short` form, without instructions, for small
models that are trained to read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.records import Problem
from smallsteps.tasks.base import Task

BUNDLED = (
    "initial", "feedback", "blind", "standard", "cot", "read", "standard-short", "cot-short", "read-short",
)  # fmt: skip
FIELDS = ("question", "answer", "attempt", "reasoning", "closing")
ROLES = ("system", "user", "assistant")
_JINJA = SandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, trim_blocks=True, keep_trailing_newline=False
)


@dataclass(frozen=True)
class Prompt:
    """The messages of one request, before anything is filled in."""

    name: str
    templates: tuple[tuple[str, str], ...]
    """(role, Jinja2 template) in order."""

    def render(
        self, task: Task, problem: Problem, attempt: str | None = None, reasoning: str | None = None
    ) -> tuple[tuple[str, str], ...]:
        """(role, content) for one problem. Raises DataError where the prompt asks for what is not there."""
        given = {
            "question": task.render(problem),
            "closing": task.closing.format(answer="…") if task.closing else "",
            **({} if problem.answer is None else {"answer": problem.answer}),
            **({} if attempt is None else {"attempt": attempt}),
            **({} if reasoning is None else {"reasoning": reasoning}),
        }
        try:
            filled = [(role, _JINJA.from_string(template).render(given).strip()) for role, template in self.templates]
        except TemplateError as error:
            raise DataError(
                f"prompt {self.name}, problem {problem.id}: {error}. A prompt may name {', '.join(FIELDS)}; `answer` needs a "
                "gold answer in the row, `attempt` a wrong rationale, `reasoning` one to answer with."
            ) from None
        return tuple((role, content) for role, content in filled if content)


def read_prompt(name: str) -> Prompt:
    """A bundled prompt by name, or a file of your own. Raises RecipeError where there is none or where it is not one."""
    if name in BUNDLED:
        text = resources.files("smallsteps.teaching").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")
        return parse_prompt(name, text)
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"prompt {name!r}: no such file.{nearest(name, BUNDLED)}")
    try:
        return parse_prompt(name, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise RecipeError(f"prompt {name}: not UTF-8. Save it as UTF-8.") from None


def parse_prompt(name: str, text: str) -> Prompt:
    """The prompt that `text` describes."""
    pieces = re.split(rf"^\[({'|'.join(ROLES)})\][ \t]*$", text, flags=re.MULTILINE)
    if pieces[0].strip() or len(pieces) < 3:
        raise RecipeError(f"prompt {name}: begin each message with a line [system], [user] or [assistant].")
    templates = tuple((role, body.strip()) for role, body in zip(pieces[1::2], pieces[2::2], strict=True))
    if templates[-1][0] != "user":
        raise RecipeError(f"prompt {name}: the last message is [{templates[-1][0]}], expected [user].")
    for _, template in templates:
        try:
            _JINJA.parse(template)
        except TemplateError as error:
            raise RecipeError(f"prompt {name}: {error}.") from None
    return Prompt(name, templates)
