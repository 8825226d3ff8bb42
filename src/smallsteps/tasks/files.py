"""Readers and the writer of data files: bytes → text (`sources`) → rows (`json_rows`, `tables`) →
rows in our shape (`shapes`) → chains and problems (`records_from_rows`).

A chain file holds one JSON object a line: `id, question, rationale, answer`, and where there are
any `predicted`, `correct`, `segments`, `choices`, `context`, `group`; further fields go to
`Problem.meta`. Section 2 of the AS-ES page says what a chain is: the rationale *and* its closing
sentence, which the task adds where it is missing.

Whatever is wrong is refused with its file, line and id and with the next step; a row is never
dropped in silence. Rows whose own answer is wrong are left out of training and counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallsteps.disk import atomic_file
from smallsteps.errors import DataError, RecipeError, counted, nearest
from smallsteps.outputs import writing
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks import get_task
from smallsteps.tasks.base import OVERLOOKED_CHOICES, Task
from smallsteps.tasks.fields import FIELDS, in_line, missing, scalar, text_field
from smallsteps.tasks.first_lines import FirstLines
from smallsteps.tasks.json_rows import EXAMPLE, read_json
from smallsteps.tasks.notes import Notes, Say
from smallsteps.tasks.records_from_rows import (
    Closing,
    chain_of,
    ends_in_another_number,
    problem_of,
)
from smallsteps.tasks.shapes import cleaned, in_our_shape
from smallsteps.tasks.sources import check_exists, first_bytes
from smallsteps.tasks.tables import HUB, read_arrow, read_csv, read_hub, read_parquet

Row = dict[str, Any]


@dataclass(frozen=True)
class ChainFile:
    """The chains of one file and what was left out: `rows` is the rows that gave chains plus
    `wrong`."""

    chains: list[Chain]
    rows: int
    """Rows in the file."""
    wrong: int
    """Rows left out since their own answer is not the gold one."""
    wrong_ids: tuple[str, ...]
    closed: int
    """Chains that got their closing sentence from the task."""


def read_rows(path: str | Path, notes: Notes | None = None) -> Iterator[tuple[int, Row]]:
    """(line, object) for each row of a JSON Lines, JSON, CSV, TSV, Parquet or Arrow file,
    compressed or not, or of a data set of the hub (`hub:NAME:SPLIT`). Of tables without lines, and
    of a JSON list, the place of the row from 1.

    Blank lines are no rows; byte-order marks and CRLF are accepted. What is guessed goes to
    `notes`. Raises DataError on a file that is missing, empty or no text, and on a line that is no
    JSON object."""
    if str(path).startswith(HUB):
        yield from read_hub(str(path))
        return
    path = Path(path)
    check_exists(path)
    empty = True
    for line, row in _reader(path)(path, notes or Notes()):
        empty = False
        yield line, row
    if empty:
        raise DataError(
            f"{path}: the file is empty. Expected one JSON object a line, such as {EXAMPLE}"
        )


Reader = Callable[[Path, Notes], Iterator[tuple[int, Row]]]


def _reader(path: Path) -> Reader:
    """The reader of a file: by its first bytes where they say it, else by its name (`.csv.gz` is a
    CSV file)."""
    head = first_bytes(path)
    if head.startswith(b"PAR1"):
        return read_parquet
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    if head.startswith(b"ARROW1") or endings[-1:] in ([".arrow"], [".feather"], [".ipc"]):
        return read_arrow
    if endings[-1:] == [".parquet"]:
        return read_parquet
    packed = endings[-1:] in ([".gz"], [".bz2"], [".xz"])
    ending = endings[-2:-1] if packed else endings[-1:]
    return read_csv if ending in ([".csv"], [".tsv"]) else read_json


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON Lines (UTF-8, LF, characters unescaped); returns their number.

    Atomic: the rows go to a temporary file beside `path` that takes its place once it is whole, so
    that a kill or an error leaves what was there before. Folders on the way are made; of a link the
    file that it points to is replaced. Raises DataError where the disk is full or the folder cannot
    be written."""
    count = 0
    with (
        writing(path),
        atomic_file(Path(path)) as draft,
        draft.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


WRONG_ROWS = "Check the answers; from Python, read_chains(..., allow_wrong=True) keeps such rows."


def read_chains(
    path: str | Path,
    task: Task | str,
    columns: Mapping[str, str] | None = None,
    closing: Closing = "add",
    allow_wrong: bool = False,
    say: Say | None = None,
) -> ChainFile:
    """The chains of a file, read by a task or its name. `columns` maps our field names to the
    file's ({"rationale": "cot"}).

    Rows that come without an `id` are named by their line (`line-000012`). A row is wrong where
    `correct` is false, where its own closing or `predicted` names another answer than `answer`;
    wrong rows are left out and counted, or with `allow_wrong` kept, closed with the answer they
    reach. A row without `answer` takes the one its closing names. `say` receives a line on what was
    guessed, and progress. Raises DataError on anything that is not as it should be, with file,
    line, id and the next step."""
    counts = RowCounts()
    chains = list(iter_chains(path, task, columns, closing, allow_wrong, say, counts))
    wrong_ids = tuple(counts.wrong_ids)
    return ChainFile(chains, counts.rows, len(wrong_ids), wrong_ids, counts.closed)


@dataclass
class RowCounts:
    """What `iter_chains` has counted so far; the fields as those of `ChainFile`."""

    rows: int = 0
    wrong_ids: list[str] = field(default_factory=list)
    closed: int = 0
    contradicting_ids: list[str] = field(default_factory=list)
    """Of the closed ones, those whose last number is not the answer."""

    def contradiction_line(self) -> str | None:
        """A line on chains whose last number is not the answer; None: there are none."""
        ids = self.contradicting_ids
        if not ids:
            return None
        shown = ", ".join(in_line(name) for name in ids[:MAX_SHOWN])
        shown += ", ..." if len(ids) > MAX_SHOWN else ""
        return f"{contradictions(len(ids))} ({shown}); kept, with a closing that states the answer"


MAX_SHOWN = 3
"""Maximum number of ids in a line of the reader."""


def contradictions(count: int) -> str:
    """How many chains contradict their answer.

    >>> contradictions(1)
    '1 chain whose last number is not its answer'
    """
    ending = "its answer" if count == 1 else "their answer"
    return f"{counted(count, 'chain')} whose last number is not {ending}"


def iter_chains(
    path: str | Path,
    task: Task | str,
    columns: Mapping[str, str] | None = None,
    closing: Closing = "add",
    allow_wrong: bool = False,
    say: Say | None = None,
    counts: RowCounts | None = None,
) -> Iterator[Chain]:
    """The chains that `read_chains` returns, one by one, for files above memory. `counts` is filled
    on the way. Raises as `read_chains`, at the row that is wrong."""
    task, counts = get_task(task), counts or RowCounts()
    empty, overlooked = True, False
    for place, identifier, row in identified(path, task, columns or {}, say):
        counts.rows += 1
        with at(place):
            if task.prepare is not None:
                for name in task.row_fields:
                    text_field(row, name)
                prepared = task.prepare(identifier, row)
            else:
                prepared = [chain_of(row, identifier, task, closing)]
        for chain in prepared:
            if task.prepare is None:
                if chain.rationale.correct is False and not allow_wrong:
                    counts.wrong_ids.append(identifier)
                    overlooked = overlooked or task.overlooks_choices(chain.problem)
                    continue
                if chain.rationale.text != row["rationale"]:
                    counts.closed += 1
                    if ends_in_another_number(row["rationale"], chain.problem, task):
                        counts.contradicting_ids.append(identifier)
            empty = False
            yield chain
    if empty:
        raise DataError(
            f"{path}: no chain left, each of its {counts.rows} rows ends in a wrong answer "
            "(`correct` is false, or its closing names another answer than `answer`). "
            f"{OVERLOOKED_CHOICES if overlooked else WRONG_ROWS}"
        )


OF_CHAINS = ("rationale", "predicted", "correct", "segments")
"""Fields of chains alone: a file of problems need not have the columns that are named for them."""


def read_problems(
    path: str | Path,
    task: Task | str,
    columns: Mapping[str, str] | None = None,
    say: Say | None = None,
) -> list[Problem]:
    """The problems of a file, read by a task or its name, for solving and grading: `question` is
    needed, `answer` read where there is one. `say` receives a line on what was guessed, and
    progress."""
    return list(iter_problems(path, task, columns, say))


def iter_problems(
    path: str | Path,
    task: Task | str,
    columns: Mapping[str, str] | None = None,
    say: Say | None = None,
) -> Iterator[Problem]:
    """The problems that `read_problems` returns, one by one, for files above memory."""
    task = get_task(task)
    columns_of_problems = {
        ours: theirs for ours, theirs in (columns or {}).items() if ours not in OF_CHAINS
    }
    for place, identifier, row in identified(path, task, columns_of_problems, say):
        with at(place):
            if task.prepare is not None:
                text_field(row, task.row_fields[0])
                problems = [chain.problem for chain in task.prepare(identifier, row)]
            else:
                problems = [problem_of(row, identifier, task)]
        yield from problems


def read_rationales(
    path: str | Path, task: Task | str, columns: Mapping[str, str] | None = None
) -> dict[str, Rationale]:
    """Problem id → rationale, for the rows of a file that have one: those that end in a wrong
    answer too, and without a closing that the row does not have. `correct` as in `read_chains`.

    A file without rationales, or of a task that makes chains of its rows (reports), gives none."""
    task = get_task(task)
    rationales: dict[str, Rationale] = {}
    if task.prepare is not None:
        return rationales
    _, first = next(read_rows(path))
    columns_there = {
        ours: theirs
        for ours, theirs in (columns or {}).items()
        if ours not in OF_CHAINS or theirs in first
    }
    for place, identifier, row in identified(path, task, columns_there):
        if row.get("rationale") in (None, ""):
            continue
        with at(place):
            rationales[identifier] = chain_of(row, identifier, task, "keep").rationale
    return rationales


def identified(
    path: str | Path, task: Task, columns: Mapping[str, str], say: Say | None = None
) -> Iterator[tuple[str, str, Row]]:
    """(place for messages, id, row in our shape) of each row; ids unique, or made from the line."""
    _check_columns(columns, {*FIELDS, *task.row_fields})
    notes = Notes()
    first_lines = FirstLines()
    with_ids: bool | None = None
    for line, raw in _with_progress(path, read_rows(path, notes), say):
        with at(f"{path}:{line}"):
            row = _renamed(raw, columns, first=with_ids is None)
            if task.prepare is None:
                row = cleaned(in_our_shape(row, task, notes), notes)
            identifier = scalar(row, "id")
            if with_ids is None:
                with_ids = identifier is not None
            if identifier is None and with_ids:
                raise DataError(
                    missing(row, "id") + " Earlier rows have one: give every row an id, or none."
                )
            identifier = identifier or f"line-{line:06d}"
            first = first_lines.add(identifier, line)
            if first is not None:
                raise DataError(
                    f"the id {in_line(identifier)!r} stands on line {first} already. "
                    "Ids must be unique: rename one, "
                    "or leave the field out and rows are named by their line."
                )
        yield f"{path}:{line} ({in_line(identifier)})", identifier, row
    if say is not None and (line_of_notes := notes.line()):
        say(f"{path}: {line_of_notes}")


PROGRESS_SECONDS = 10.0
"""Seconds between two lines of progress."""


def _with_progress(
    path: str | Path, rows: Iterable[tuple[int, Row]], say: Say | None
) -> Iterator[tuple[int, Row]]:
    last_report = time.monotonic()
    for count, pair in enumerate(rows, start=1):
        yield pair
        if (
            say is not None
            and count % 1000 == 0
            and time.monotonic() - last_report >= PROGRESS_SECONDS
        ):
            last_report = time.monotonic()
            say(f"{path}: {count:,} rows read")


def _check_columns(columns: Mapping[str, str], known: Iterable[str]) -> None:
    """Raises RecipeError on a name that is no field of ours, and on one column that is given for
    two fields."""
    fields_by_column: dict[str, str] = {}
    for ours, theirs in columns.items():
        if ours not in known:
            raise RecipeError(
                f"--columns {ours}={theirs}: no field {ours!r}.{nearest(ours, known)}"
            )
        if theirs in fields_by_column:
            raise RecipeError(
                f"--columns: {fields_by_column[theirs]!r} and {ours!r} are both to be column "
                f"{theirs!r}. Name another "
                "column for one of them."
            )
        fields_by_column[theirs] = ours


def _renamed(raw: Row, columns: Mapping[str, str], first: bool) -> Row:
    """The row under our field names. A column that the first row lacks is a mistake; later ones may
    leave it out."""
    for ours, theirs in columns.items():
        if first and theirs not in raw:
            raise DataError(
                f"no column {theirs!r} (given as "
                f"{ours}={theirs}).{nearest(theirs, (in_line(str(name)) for name in raw))} "
                f"Correct it: --columns {ours}=COLUMN."
            )
    taken = set(columns.values())
    kept = {name: value for name, value in raw.items() if name not in taken and name not in columns}
    return {**kept, **{ours: raw[theirs] for ours, theirs in columns.items() if theirs in raw}}


@contextmanager
def at(place: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        identifier = place.rpartition(" (")[2].removesuffix(")")
        message = str(error).removeprefix(f"{identifier}: ")
        raise DataError(f"{place}: {message}") from None
