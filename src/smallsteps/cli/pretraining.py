"""`smallsteps run student/bundled` and `student/bundled-causal`: pre-train a bundled student."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import yaml

from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.progress import Terminal, say
from smallsteps.config import apply_changes
from smallsteps.devices import check_threads
from smallsteps.errors import RecipeError
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.ownership import check_folder
from smallsteps.experiment.recipe import recipe_content
from smallsteps.outputs import check_output_folder
from smallsteps.students.pretrain import pretrain, pretrain_settings


def pretrain_bundled(
    name: str, changes: Sequence[str], out: Path | None, threads: int | None, dry_run: bool
) -> None:
    """Runs the recipe `name`, changed by `changes`, in the run folder `out`, and prints the
    student's folder."""
    check_threads(threads)
    content = recipe_content(name)
    apply_changes(content, changes)
    settings = pretrain_settings(content, name)
    resolved = yaml.safe_dump(settings.model_dump(), sort_keys=False)
    if dry_run:
        say(resolved)
        return
    if out is None:
        raise RecipeError("name the folder: --out DIR")
    digest = hashlib.sha256(resolved.encode()).hexdigest()[:16]
    check_folder(out, digest, resolved)
    check_output_folder(out)
    set_threads(threads)
    with Terminal() as reporter, run_folder(out, digest, resolved, reporter):

        def show(done: int, total: int, loss: float) -> None:
            reporter.advance("pre-training", done, total, f"loss {loss:.3f}")

        folder = pretrain(out, settings, show)
    say(str(folder))
