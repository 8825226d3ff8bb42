"""Rows from tables: CSV with the standard library; Parquet and Arrow files through `pyarrow`, data
sets of the hub through `datasets`, both in an extra.

A data set of the hub is written `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`, so that a mistyped
file name never turns into a download."""

from __future__ import annotations

import csv
import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError
from smallsteps.tasks.fields import FIELDS
from smallsteps.tasks.notes import Notes
from smallsteps.tasks.sources import lines

HUB = "hub:"
SEPARATORS = (",", "\t", ";", "|")
_BATCH = 1_000
"""Rows of a Parquet or Arrow file that are in memory at once."""


def read_csv(path: Path, notes: Notes) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of the file on which the row ends, row) for each row of a CSV (`.tsv`: tab-separated)
    file with a header.

    The separator is told from the header, where it is not the usual one of the file's name. Every
    value is text; an empty cell is a missing field. Raises DataError on a row with more or fewer
    cells than the header."""
    csv.field_size_limit(
        sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1
    )  # one cell may be a long chain or context
    numbered = lines(path, notes)
    start, header = next(((number, line) for number, line in numbered if line.strip()), (1, ""))
    if header.lower().startswith("sep=") and len(header.strip()) == 5:  # Excel's own hint
        separator = header[4]
        start, header = next(numbered, (start, ""))
    else:
        separator = _separator(
            header, "\t" if ".tsv" in path.suffixes or ".TSV" in path.suffixes else ",", notes
        )
    skipped = start - 1
    reader = csv.DictReader(
        chain([header], (line for _, line in numbered)), delimiter=separator, strict=True
    )
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        twice = [
            name for name, count in Counter(reader.fieldnames or ()).items() if count > 1 and name
        ]
        if twice:
            raise DataError(
                f"{path}:{start}: two columns are named {twice[0]!r}. Rename one of them."
            )
        for row in reader:
            line = reader.line_num + skipped
            if None in row or None in row.values():
                count = len(reader.fieldnames or ())
                raise DataError(
                    f"{path}:{line}: the row does not have the {count} cells of the header "
                    "(separated by "
                    f'{separator!r}). Quote cells that hold separators or line breaks: "…, …".'
                )
            yield line, {name: cell for name, cell in row.items() if cell != ""}
    except csv.Error as error:
        line = (
            reader.reader.line_num + skipped
        )  # the reader's own count: DictReader's moves on only after a whole row
        raise DataError(
            f"{path}:{line}: broken CSV ({error}). Check the quotes of this row."
        ) from None


def _separator(header: str, usual: str, notes: Notes) -> str:
    """The sign that separates the header's names: the one that gives most of our field names, then
    most names; the usual one where nothing speaks for another."""

    def names(separator: str) -> list[str]:
        try:
            return [
                name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])
            ]
        except csv.Error:
            return []

    def rank(separator: str) -> tuple[int, int, bool]:
        columns = names(separator)
        return len(set(columns) & set(FIELDS)), len(columns), separator == usual

    best = max(SEPARATORS, key=rank)
    if best == usual or len(names(best)) < 2:
        return usual
    notes.separator = best
    return best


def read_parquet(path: Path, notes: Notes) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, row) of a Parquet file. Raises DataError where `pyarrow` is not installed or the
    file is damaged."""
    pyarrow, parquet = (_extra(name, str(path)) for name in ("pyarrow", "pyarrow.parquet"))
    with _whole(path, pyarrow):
        file = parquet.ParquetFile(path)
        yield from _batches(file.iter_batches(batch_size=_BATCH))


def read_arrow(path: Path, notes: Notes) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, row) of an Arrow file: the file format (Feather), or the stream that `datasets`
    saves."""
    pyarrow = _extra("pyarrow", str(path))
    with _whole(path, pyarrow), pyarrow.memory_map(str(path)) as source:
        try:
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
        except pyarrow.ArrowInvalid:
            source.seek(0)
            batches = iter(pyarrow.ipc.open_stream(source))
        yield from _batches(batches)


@contextmanager
def _whole(path: Path, pyarrow: Any) -> Iterator[None]:
    """What `pyarrow` raises on a file that it cannot read, as a DataError."""
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        raise DataError(
            f"{path}: no whole Parquet or Arrow file ({reason}). Fetch it again."
        ) from None


def _batches(batches: Iterator[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            for row in batch.slice(start, _BATCH).to_pylist():
                number += 1
                yield number, {name: cell for name, cell in row.items() if cell is not None}


def read_hub(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, row) of `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`; NAME may be followed by
    `@REVISION`."""
    first, *parts = name.removeprefix(HUB).split(":")
    data_set, at, revision = first.partition("@")
    if len(parts) not in (1, 2) or not all([data_set, *parts]) or (at and not revision):
        raise DataError(
            f"{name}: expected hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT, "
            "such as hub:openai/gsm8k:main:train; NAME@REVISION names a commit or a branch."
        )
    datasets = _extra("datasets", name)
    try:
        table = datasets.load_dataset(
            data_set, *parts[:-1], split=parts[-1], revision=revision or None
        )
    except Exception as error:  # what `datasets` raises is many-typed: network, name, split, format
        raise DataError(
            f"{name}: cannot be loaded ({type(error).__name__}: {error}). Check the name, "
            f"{'the revision, ' if revision else ''}the split and the network."
        ) from error
    for number, row in enumerate(table, start=1):
        yield number, {name: cell for name, cell in dict(row).items() if cell is not None}


def _extra(module: str, shown: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError(
            f"{shown}: reading Parquet and Arrow files and data sets of the hub needs an extra: "
            "pip install 'smallsteps[hub]'. Or convert the data to JSON Lines."
        ) from None
