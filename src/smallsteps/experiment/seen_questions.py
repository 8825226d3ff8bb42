"""Which questions a student may have been trained on, as far as the run that its folder lies in
tells. A figure on them says nothing about new questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallsteps.errors import RunFolderError, counted
from smallsteps.experiment.ownership import RUN
from smallsteps.experiment.stored_data import read_questions
from smallsteps.records import Problem
from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.tasks.splits import same_words


def seen_warning(student: str | Path, problems: Sequence[Problem]) -> str:
    """One line where a student's run trained on some of the questions, or chose its checkpoint by
    them; else empty, also where the student lies in no run."""
    run = _run_of(Path(student))
    if run is None:
        return ""
    questions = [same_words(problem.question) for problem in problems]
    seen = []
    for part, what in (("train", "trained on"), ("validation", "chose the student by")):
        try:
            known = {same_words(question) for question in read_questions(run, part)}
        except RunFolderError:  # the answers are there all the same
            return ""
        count = sum(question in known for question in questions)
        seen += [f"{what} {count:,} of them"] if count else []
    if not seen:
        return ""
    return (
        f"warning: not all of these {counted(len(questions), 'question')} are new to the student: "
        f"its run {run} {' and '.join(seen)}. The figure says little about new questions"
    )


def _run_of(student: Path) -> Path | None:
    """The run folder that a trained student lies in; None: it lies in none, or is untrained."""
    try:
        if not Drive.from_file(student / DRIVE_FILE).trained:
            return None
        parents = student.resolve().parents
    except (OSError, ValueError, RuntimeError):  # a name on the hub, or a bundled student
        return None
    for folder in parents:
        if (folder / RUN).is_file() and (folder / "data").is_dir():
            return folder
    return None
