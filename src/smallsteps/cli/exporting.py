"""`smallsteps export`: writes a student's folder for other tools, and uploads it to the Hub."""

from __future__ import annotations

import shlex
from pathlib import Path

from smallsteps.cli.progress import say
from smallsteps.disk import CARD
from smallsteps.errors import RecipeError, StudentError, counted
from smallsteps.publishing.export import ExportPlan, plan_export, student_folder, write_export
from smallsteps.publishing.hub import Upload, check_name, plan_upload, upload
from smallsteps.students.card import by_segment
from smallsteps.students.run_student import student_place


def export_folder(
    folder: str,
    to: Path | None,
    form: str,
    push: str | None,
    yes: bool,
    private: bool,
    dry_run: bool,
) -> None:
    """Writes the folder `to` and prints how to use it; with `push`, what would be uploaded; with
    `yes` uploads it. Without `to`, `folder` itself is uploaded as it is. dry_run: nothing is
    written or uploaded.

    Raises UserError, before anything is written, where the export or the upload cannot be done."""
    if push is None and (yes or private):
        raise RecipeError("--yes and --private are for uploads. Name the repository: --push NAME")
    if push is None and to is None:
        raise RecipeError("name the folder to write: --to DIR")
    folder = student_place(folder, say)
    target = None if push is None else Upload(check_name(push), private)
    if target is not None and yes and not dry_run:
        target.check_token()
    if target is not None and (dry_run or not yes):
        target = target.with_owner()
    place = _with_card(folder) if to is None else _write(plan_export(folder, to, form), dry_run)
    if target is None:
        return
    if place is None:
        say(f"would upload them to {target.place}")
    elif yes and not dry_run:
        say(f"uploaded: {upload(place, target)}")
    else:
        for line in plan_upload(place, target):
            say(line)
        command = ["smallsteps", "export", str(place), "--push", target.name, "--yes"]
        say(f"nothing was uploaded. To upload it: {shlex.join(command)}")


def _with_card(folder: str) -> Path:
    """The folder of a student that has a model card."""
    place = student_folder(folder)
    if not (place / CARD).is_file():
        raise StudentError(f"{place} has no {CARD}. Export it first: add --to DIR")
    return place


def _write(plan: ExportPlan, dry_run: bool) -> Path | None:
    """Writes an export and prints what it holds; None where it was not written."""
    count, names = counted(len(plan.files), "file"), ", ".join(plan.files)
    if not dry_run:
        write_export(plan)
    say(
        f"would write {count} to {plan.to}: {names}"
        if dry_run
        else f"{count} in {plan.to}: {names}"
    )
    if by_segment(plan.student):
        say("It writes segment by segment: README.md says what a plain server does with it.")
    for command in plan.commands():
        say(f"  {command}")
    return None if dry_run else plan.to
