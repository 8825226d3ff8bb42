"""Options that fill a settings class.

A command takes the settings as one parameter. `fill_settings` replaces it by the options of its
group, builds the settings from what was typed, and passes them on:

    TEACHER = OptionGroup(TeacherSettings, {"name": TeacherName, "timeout": Timeout})

    @fill_settings(teacher=TEACHER)
    def teach(questions: Path, teacher: TeacherSettings) -> None: ...

    smallsteps teach q.jsonl --teacher MODEL --timeout 60

Defaults and checks are those of the class. A command may state another default, or require an
option."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

import typer
from pydantic import ValidationError

from smallsteps.config import Settings
from smallsteps.config_errors import error_line
from smallsteps.errors import RecipeError


@dataclass(frozen=True)
class OptionGroup:
    """The options that fill a settings class."""

    settings: type[Settings]
    options: Mapping[str, Any]
    """Field of the class → its option: `Annotated[type, typer.Option(...)]`."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Field → default of the command, where it is not that of the class."""
    required: frozenset[str] = frozenset()
    """Fields that the command requires although the class has a default."""
    pairs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name in `options` → the two fields that its two values fill."""

    def parameters(self, prefix: str) -> list[inspect.Parameter]:
        """One keyword-only parameter per option, named `prefix_name`."""
        return [
            inspect.Parameter(
                f"{prefix}_{name}",
                inspect.Parameter.KEYWORD_ONLY,
                default=self._default(name),
                annotation=annotation,
            )
            for name, annotation in self.options.items()
        ]

    def build(self, values: Mapping[str, Any], left: Collection[str] = ()) -> Settings:
        """The settings with `values`, by the names in `options`. `left`: names whose option was not
        typed, so that `model_fields_set` holds what was typed. Raises RecipeError that names the
        option."""
        content: dict[str, Any] = {}
        for name, value in values.items():
            if name in left and name not in self.defaults:
                continue  # the class has the same default
            if name in self.pairs:
                content.update(zip(self.pairs[name], value, strict=True))
            elif value is not None or self.settings.model_fields[name].default_factory is None:
                content[name] = value
        try:
            return self.settings.model_validate(content)
        except ValidationError as error:
            raise RecipeError(self._message(error)) from None

    def _default(self, name: str) -> Any:
        if name in self.pairs:
            return tuple(self._field_default(field) for field in self.pairs[name])
        return self._field_default(name)

    def _field_default(self, name: str) -> Any:
        info = self.settings.model_fields[name]
        if name in self.defaults:
            return self.defaults[name]
        if name in self.required or info.is_required():
            return inspect.Parameter.empty
        return None if info.default_factory is not None else info.default

    def _message(self, error: ValidationError) -> str:
        """The error in one line that names the option instead of the field."""
        line = error_line(error, self.settings)
        for name, annotation in self.options.items():
            option = get_args(annotation)[-1].default
            for field_name in self.pairs.get(name, (name,)):
                if line.startswith(f"{field_name}:"):
                    message = f"{option}{line.removeprefix(field_name)}"
                    advice = f" Type for example {field_name}="
                    if name in self.pairs:  # the advice has one value, the option takes two
                        return message.partition(advice)[0]
                    return message.replace(advice, f" Type for example {option} ")
        return line


def fill_settings(**groups: OptionGroup) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: parameters of the command that are named in `groups` become options."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def filled(**values: Any) -> None:
            source_of = values.pop(CONTEXT).get_parameter_source
            for parameter, group in groups.items():
                names = {name: f"{parameter}_{name}" for name in group.options}
                given = {name: values.pop(option) for name, option in names.items()}
                sources = {name: source_of(option) for name, option in names.items()}
                left = {name for name in names if getattr(sources[name], "name", "") == "DEFAULT"}
                values[parameter] = group.build(given, left)
            command(**values)

        signature = _expanded(command, groups)
        filled.__signature__ = signature  # type: ignore[attr-defined]
        filled.__annotations__ = {
            name: parameter.annotation for name, parameter in signature.parameters.items()
        }
        return filled

    return decorate


CONTEXT = "context_of_typer"


def _expanded(command: Callable[..., None], groups: Mapping[str, OptionGroup]) -> inspect.Signature:
    """The signature of the command with the options of its groups in their place. All parameters
    are keyword-only, as options without a default may follow others."""
    hints = get_type_hints(command, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(CONTEXT, kind, annotation=typer.Context)]
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += groups[name].parameters(name)
        else:
            parameters.append(parameter.replace(kind=kind, annotation=hints[name]))
    return inspect.Signature(parameters)
