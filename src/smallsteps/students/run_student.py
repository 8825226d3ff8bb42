"""The student that a run folder stands for: the one that was best on validation.

A run folder can be named wherever a student can. What is read here are the files of a run, as
`experiment/results.py` writes them; the students' room knows nothing else of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.disk import read_object
from smallsteps.errors import StudentError, similar
from smallsteps.students.drive import DRIVE_FILE

RUN, RESULTS, TRAINED = "run.json", "results.json", "trained.json"
MAX_NAMED = 3
"""Maximum number of students that a message names."""


@dataclass(frozen=True)
class RunStudent:
    """The best student of a finished run."""

    folder: Path
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"arm {self.arm}, seed {self.seed}"


def run_student(name: str | Path, role: str = "") -> RunStudent | None:
    """The best student of the run in the folder `name`; None: it is no run folder. role: stands
    before the name in messages.

    Raises StudentError where the run has no trained student to hand out, and names others."""
    try:
        folder = Path(name).expanduser()
        finished = (folder / RESULTS).is_file()
        is_run = (finished or (folder / RUN).is_file()) and not (folder / "config.json").is_file()
    except (OSError, ValueError, RuntimeError):  # not a possible path
        return None
    if not is_run:
        return None
    label = f"{role} {name}".strip()
    if not finished:
        raise StudentError(
            f"{label}: this run has not finished, so its best student is not known yet. "
            f"Type its command again{_others(folder, ', or name ')}"
        )
    best = _best(folder / RESULTS)
    match best:
        case {"name": str(arm), "seed": int(seed), "folder": str(place)}:
            if (folder / place).is_dir():
                return RunStudent(folder / place, arm, seed)
            raise StudentError(
                f"{label}: the run's best student, {folder / place}, is not there any more. "
                f"Run it again{_others(folder, ', or name ')}"
            )
        case {"name": str(arm), "folder": None}:
            raise StudentError(
                f"{label}: the student before training was best in this run (arm {arm}), and no "
                f"trained one is handed out. Name the student of an arm"
                f"{_others(folder, ', such as ')}"
            )
        case None:
            raise StudentError(
                f"{label}: no student was trained in this run. Name the folder of a student."
            )
    raise StudentError(
        f"{folder / RESULTS}: damaged. Delete the file and type the run's command again."
    )


def student_place(name: str | Path, say: Callable[[str], None] | None = None) -> str:
    """The folder of the best student where `name` is a run folder; else `name` as it is. say:
    receives a line on which student was taken. Raises StudentError like `run_student`."""
    best = run_student(name)
    if best is None:
        return str(name)
    if say is not None:
        say(f"{name}: using {best}")
    return str(best.folder)


def folders_beside(name: str | Path) -> str:
    """The end of a message about a folder that is not there: the one beside it that was probably
    meant, or else the runs beside it; empty: there are none."""
    path = Path(name)
    if meant := similar(path.name, [folder.name for folder in _beside(path)]):
        return f" Did you mean {path.parent / meant}?"
    runs = runs_beside(path)
    more = f" and {len(runs) - MAX_NAMED} more" if len(runs) > MAX_NAMED else ""
    return f" Runs there: {', '.join(map(str, runs[:MAX_NAMED]))}{more}." if runs else ""


def runs_beside(name: str | Path) -> list[Path]:
    """The run folders beside a path, by name."""
    return [folder for folder in _beside(Path(name)) if (folder / RUN).is_file()]


def _beside(path: Path) -> list[Path]:
    try:
        return sorted(other for other in path.expanduser().parent.iterdir() if other.is_dir())
    except (OSError, ValueError, RuntimeError):  # no such place
        return []


def _best(path: Path) -> Any:
    """`best` of `results.json`; a text where that file is damaged."""
    try:
        return read_object(path).get("best")
    except ValueError:
        return "damaged"


def _others(folder: Path, before: str) -> str:
    """The end of a message: the trained students in the folder, if there are any."""
    names = named_students(folder)
    return f"{before}{names}." if names else "."


def named_students(folder: Path) -> str:
    """The first trained students below `folder`, for messages, those that validation chose before
    other checkpoints of their training; empty: there are none."""
    students: list[Path] = []
    for drive in _drives(folder):
        if drive.parent.parent not in students:  # the halves of a pair have a drive each
            students.append(drive.parent)
    chosen = {student: _is_chosen(student) for student in students}
    ordered = sorted(students, key=lambda student: not chosen[student])[:MAX_NAMED]
    note = " (chosen on validation)"
    # where all of them are, or none is, it tells nothing
    marks = {student: note if chosen[student] else "" for student in ordered}
    if len(set(marks.values())) == 1 and len(ordered) == len(students):
        marks = dict.fromkeys(ordered, "")
    return " or ".join(f"{student}{marks[student]}" for student in ordered)


def _is_chosen(student: Path) -> bool:
    """Whether the student is the checkpoint of its training that was best on validation."""
    try:
        folders = read_object(student.parent / TRAINED)["folders"]
        return bool(folders["metric"] == student.name)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _drives(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.rglob(DRIVE_FILE), key=lambda path: (path.parts[:-1], path))
    except OSError:  # a folder that must not be read
        return
