"""The program `smallsteps`: its commands, exit codes and interrupts.

Exit codes: 0 success, 2 the user can fix it (one clear line, no traceback), 1 a bug, 130
interrupted. The options of each command are in `commands/`."""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from smallsteps import __version__, team
from smallsteps.cli.commands.export import export
from smallsteps.cli.commands.grade import grade
from smallsteps.cli.commands.guide import guide
from smallsteps.cli.commands.quality import quality
from smallsteps.cli.commands.review import review
from smallsteps.cli.commands.run import compare, demo, recipes, run
from smallsteps.cli.commands.runs import runs
from smallsteps.cli.commands.segment import segment
from smallsteps.cli.commands.serve import serve
from smallsteps.cli.commands.show import show
from smallsteps.cli.commands.solve import solve
from smallsteps.cli.commands.teach import teach
from smallsteps.cli.failures import INTERRUPTED, failed, print_anything
from smallsteps.errors import RecipeError, similar
from smallsteps.faults import faults_named

COMMANDS = (
    demo,
    compare,
    run,
    show,
    runs,
    recipes,
    teach,
    segment,
    solve,
    serve,
    review,
    grade,
    guide,
    quality,
    export,
)
"""In the order of `smallsteps --help`."""

OTHER_NAMES = {
    "report": "show",
    "plot": "show",
    "list": "runs",
    "ls": "runs",
    "train": "compare",
    "finetune": "compare",
    "fine-tune": "compare",
    "distill": "teach",
    "split": "segment",
    "label": "review",
    "annotate": "review",
    "ask": "solve",
    "answer": "solve",
    "generate": "solve",
    "predict": "solve",
    "infer": "solve",
    "chat": "serve",
    "playground": "serve",
    "eval": "grade",
    "evaluate": "grade",
    "score": "grade",
    "judge": "quality",
    "rate": "quality",
    "publish": "export",
    "push": "export",
    "upload": "export",
    "convert": "export",
}
"""What a command is called elsewhere, or was called before → its name."""


class _Commands(TyperGroup):
    """The commands. An unknown one is refused with the one that was most likely meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            meant = OTHER_NAMES.get(name.lower()) or similar(name, self.commands)
            hint = f" Did you mean {meant!r}?" if meant else ""
            raise RecipeError(f"no command {name!r}.{hint} See smallsteps --help")
        found = super().resolve_command(ctx, args)
        _, command, rest = found
        _refuse_repeats(command, rest)
        return found


def _refuse_repeats(command: Any, arguments: Sequence[str]) -> None:
    """Raises RecipeError where an option that takes several values in one text is given twice: all
    but the last would be dropped without a word."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for parameter in command.params if command is not None else ():
        several = "separated by commas" in (getattr(parameter, "help", None) or "")
        given = [a for a in options if a.partition("=")[0] in parameter.opts]
        if several and not parameter.multiple and len(given) > 1:
            raise RecipeError(
                f"{parameter.opts[0]} is given more than once. Give it once, its values separated "
                "by commas."
            )


app = typer.Typer(
    name="smallsteps",
    cls=_Commands,
    help="Teach small language models to reason step by step, and measure whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for _command in COMMANDS:
    app.command()(_command)


def _print_version(show: bool) -> None:
    if show:
        typer.echo(f"smallsteps {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@cache
def _program() -> Any:
    """What typer reads from the signatures of all commands; once for a process that calls `main`
    often."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code. arguments: None takes those of the process."""
    # Set before torch loads: threads that wait for each other must sleep, or they block each other
    # on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print_anything()
    hook, sys.unraisablehook = sys.unraisablehook, _repeat_swallowed_interrupt
    try:
        with faults_named():
            code = _program()(
                args=None if arguments is None else list(arguments),
                prog_name="smallsteps",
                standalone_mode=False,
            )
            sys.stdout.flush()  # so that a full disk shows before the exit code is decided
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    except Exception as error:
        code = failed(error)
    finally:
        sys.unraisablehook = hook
    if code == INTERRUPTED and team.rank() == 0:
        typer.echo("\ninterrupted. To continue, run the same command again.", err=True)
    if code is None:
        return 0
    return code if isinstance(code, int) else 1


def _repeat_swallowed_interrupt(ignored: sys.UnraisableHookArgs) -> None:
    """Repeats a Ctrl-C that Python swallowed because it came while an object was being deleted."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        # Later, as here it would be swallowed as well.
        repeat = threading.Timer(0.1, _thread.interrupt_main)
        repeat.daemon = True
        repeat.start()
    else:
        sys.__unraisablehook__(ignored)


if __name__ == "__main__":
    sys.exit(main())
