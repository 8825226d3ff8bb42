"""Rows from tables: CSV with the standard library; Parquet files and data sets of the hub through `datasets`, an extra.

A data set of the hub is written `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`, so that a mistyped file name never turns
into a download.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError

HUB = "hub:"


def read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of the file on which the row ends, row) for each row of a CSV (`.tsv`: tab-separated) file with a header.

    Every value is text; an empty cell is a missing field. Raises DataError on a row with more or fewer cells than the
    header, and on text that is not UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    count = len(reader.fieldnames or ())
                    raise DataError(
                        f"{path}:{reader.line_num}: the row does not have the {count} cells of the header. "
                        'Quote cells that hold commas or line breaks: "…, …".'
                    )
                yield reader.line_num, {name: cell for name, cell in row.items() if cell != ""}
        except csv.Error as error:
            line = reader.reader.line_num  # the reader's own count: DictReader's moves on only after a whole row
            raise DataError(f"{path}:{line}: broken CSV ({error}). Check the quotes of this row.") from None
        except UnicodeDecodeError:
            raise DataError(
                f"{path}:{reader.line_num + 1}: not UTF-8. Save the table as UTF-8, or convert it: "
                f"iconv -f LATIN1 -t UTF-8 {path.name} > utf8{path.suffix}"
            ) from None


def read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, row) of a Parquet file. Raises DataError where `datasets` is not installed or the file is
    damaged."""
    yield from _rows(str(path), "parquet", data_files=str(path), split="train")


def read_hub(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, row) of `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`."""
    parts = name.removeprefix(HUB).split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise DataError(
            f"{name}: expected hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT, such as hub:openai/gsm8k:main:train."
        )
    yield from _rows(name, *parts[:-1], split=parts[-1])


def _rows(shown: str, *names: str, **where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise DataError(
            f"{shown}: reading Parquet files and data sets of the hub needs an extra: pip install 'smallsteps[hub]'. "
            "Or convert the data to JSON Lines."
        ) from None
    try:
        table = datasets.load_dataset(*names, **where)
    except Exception as error:  # what `datasets` raises is many-typed: network, name, split, format
        raise DataError(
            f"{shown}: cannot be loaded ({type(error).__name__}: {error}). Check the name, the split and the network."
        ) from error
    for number, row in enumerate(table, start=1):
        yield number, {name: cell for name, cell in dict(row).items() if cell is not None}
