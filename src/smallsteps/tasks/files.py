"""Readers and the writer of data files: JSON Lines natively, tables through `tables`.

A chain file holds one JSON object a line: `id, question, rationale, answer`, and where there are any `predicted`,
`correct`, `segments`, `choices`, `context`, `group`; further fields go to `Problem.meta`. Section 2 of the AS-ES page
says what a chain is: the rationale *and* its closing sentence, which the task adds where it is missing.

Whatever is wrong is refused with its file, line and id and with the next step; a row is never dropped in silence. Rows
whose own answer is wrong are left out of training and counted.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.outputs import writing
from smallsteps.records import Chain, Problem
from smallsteps.tasks.base import Task
from smallsteps.tasks.rows import FIELDS, Closing, chain_of, missing, problem_of, scalar, text_field, type_name
from smallsteps.tasks.tables import HUB, read_csv, read_hub, read_parquet

Row = dict[str, Any]


@dataclass(frozen=True)
class ChainFile:
    """The chains of one file and what was left out: `rows` is the rows that gave chains plus `wrong`."""

    chains: list[Chain]
    rows: int
    """Rows in the file."""
    wrong: int
    """Rows left out since their own answer is not the gold one."""
    wrong_ids: tuple[str, ...]
    closed: int
    """Chains that got their closing sentence from the task."""


def read_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """(line, object) for each row of a JSON Lines, CSV, TSV or Parquet file, or of a data set of the hub
    (`hub:NAME:SPLIT`).

    Blank lines are no rows; a byte-order mark and CRLF are accepted. Raises DataError on a file that is missing, empty
    or not UTF-8, and on a line that is no JSON object.
    """
    if str(path).startswith(HUB):
        yield from read_hub(str(path))
        return
    path = Path(path)
    _check_exists(path)
    empty = True
    for line, row in _reader(path)(path):
        empty = False
        yield line, row
    if empty:
        raise DataError(f"{path}: the file is empty. Expected one JSON object a line, such as {_EXAMPLE}")


_EXAMPLE = '{"id": "1", "question": "…", "rationale": "…", "answer": "…"}'


def _reader(path: Path) -> Any:
    return {".csv": read_csv, ".tsv": read_csv, ".parquet": read_parquet}.get(path.suffix.lower(), _read_jsonl)


def _check_exists(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        inside = sorted(p.name for p in path.glob("*.jsonl"))
        hint = f"Name one of its files: {', '.join(inside[:8])}." if inside else "Name a .jsonl file."
        raise DataError(f"{path}: a folder, not a file. {hint}")
    if not path.parent.is_dir():
        raise DataError(f"{path}: no such file, and no folder {path.parent}. Check the path.")
    names = [p.name for p in path.parent.iterdir() if p.is_file()]
    close = get_close_matches(path.name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {path.parent / close[0]}?" if close else "Check the path."
    raise DataError(f"{path}: no such file. {hint} A data set of the hub is written hub:NAME:SPLIT.")


def _read_jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            place = f"{path}:{number}"
            if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{place}: UTF-16, not UTF-8. Convert it: {_iconv(path, 'UTF-16')}")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{place}: not UTF-8 (byte {error.start + 1} of the line is 0x{raw[error.start]:02x}). "
                    f"Convert it from the encoding it has, for example {_iconv(path, 'LATIN1')}"
                ) from None
            if line:
                yield number, _object(line, place)


def _iconv(path: Path, encoding: str) -> str:
    return f"iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}"


def _object(line: str, place: str) -> Row:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        what = (
            f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        )
        whole = (
            " The file looks like one JSON value over many lines; make it JSON Lines: jq -c '.[]' IN.json > OUT.jsonl"
        )
        raise DataError(
            f"{place}: broken JSON ({what}): {line[:60]!r}. Expected one whole JSON object on each line."
            + (whole if line in ("[", "{") else "")
        ) from None
    if not isinstance(row, dict):
        listed = " A file with one list of objects becomes JSON Lines by: jq -c '.[]' IN.json > OUT.jsonl"
        raise DataError(
            f"{place}: expected a JSON object, got {type_name(row)}: {line[:60]!r}. Write each row as {_EXAMPLE}"
            + (listed if isinstance(row, list) else "")
        )
    return row


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON Lines (UTF-8, LF, characters unescaped); returns their number.

    Atomic: the rows go to a temporary file beside `path` that takes its place once it is whole, so that a kill or an
    error leaves what was there before. Folders on the way are made; of a link the file that it points to is replaced.
    Raises DataError where the disk is full or the folder cannot be written.
    """
    with writing(path):
        return _write_rows(Path(path).resolve(), rows)


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    count = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_chains(
    path: str | Path,
    task: Task,
    columns: Mapping[str, str] | None = None,
    closing: Closing = "add",
    allow_wrong: bool = False,
) -> ChainFile:
    """The chains of a file. `columns` maps our field names to the file's ({"rationale": "cot"}).

    Rows that come without an `id` are named by their line (`line-000012`). A row is wrong where `correct` is false,
    where its own closing or `predicted` names another answer than `answer`; wrong rows are left out and counted, or
    with `allow_wrong` kept, closed with the answer they reach. A row without `answer` takes the one its closing names.
    Raises DataError on anything that is not as it should be, with file, line, id and the next step.
    """
    chains: list[Chain] = []
    wrong: list[str] = []
    count = closed = 0
    for place, identifier, row in identified(path, task, columns or {}):
        count += 1
        with at(place):
            if task.prepare is not None:
                for name in task.row_fields:
                    text_field(row, name)
                chains.extend(task.prepare(identifier, row))
                continue
            chain = chain_of(row, identifier, task, closing)
        if chain.rationale.correct is False and not allow_wrong:
            wrong.append(identifier)
            continue
        closed += chain.rationale.text != row["rationale"]
        chains.append(chain)
    if not chains:
        raise DataError(
            f"{path}: no chain left, each of its {count} rows ends in a wrong answer (`correct` is false, or its "
            "closing names another answer than `answer`). Check the answers, or keep such rows with allow_wrong."
        )
    return ChainFile(chains, count, len(wrong), tuple(wrong), closed)


def read_problems(path: str | Path, task: Task, columns: Mapping[str, str] | None = None) -> list[Problem]:
    """The problems of a file, for solving and grading: `question` is needed, `answer` read where there is one."""
    problems: list[Problem] = []
    for place, identifier, row in identified(path, task, columns or {}):
        with at(place):
            if task.prepare is not None:
                text_field(row, task.row_fields[0])
                problems.extend(chain.problem for chain in task.prepare(identifier, row))
            else:
                problems.append(problem_of(row, identifier, task))
    return problems


def identified(path: str | Path, task: Task, columns: Mapping[str, str]) -> Iterator[tuple[str, str, Row]]:
    """(place for messages, id, row under our field names) of each row; ids unique, or made from the line."""
    known = {*FIELDS, *task.row_fields}
    for ours in columns:
        if ours not in known:
            raise RecipeError(f"--columns {ours}={columns[ours]}: no field {ours!r}.{nearest(ours, known)}")
    seen: dict[str, int] = {}
    with_ids: bool | None = None
    for line, raw in read_rows(path):
        row = _renamed(raw, columns, f"{path}:{line}")
        with at(f"{path}:{line}"):
            identifier = scalar(row, "id")
            if with_ids is None:
                with_ids = identifier is not None
            if identifier is None and with_ids:
                raise DataError(missing(row, "id") + " Earlier rows have one: give every row an id, or none.")
            identifier = identifier or f"line-{line:06d}"
            if identifier in seen:
                raise DataError(
                    f"the id {identifier!r} stands on line {seen[identifier]} already. Ids must be unique: rename one, "
                    "or leave the field out and rows are named by their line."
                )
        seen[identifier] = line
        yield f"{path}:{line} ({identifier})", identifier, row


def _renamed(raw: Row, columns: Mapping[str, str], place: str) -> Row:
    for ours, theirs in columns.items():
        if theirs not in raw:
            raise DataError(
                f"{place}: no column {theirs!r} (given as {ours}={theirs}).{nearest(theirs, raw)} "
                f"Correct it: --columns {ours}=COLUMN."
            )
    taken = set(columns.values())
    kept = {name: value for name, value in raw.items() if name not in taken and name not in columns}
    return {**kept, **{ours: raw[theirs] for ours, theirs in columns.items()}}


@contextmanager
def at(place: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
