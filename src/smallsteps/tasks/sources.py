"""From a file to its text: compression, encoding, and what is no text at all.

First stop of reading. What a file is, its first bytes tell and not its name: `data.csv` may be
compressed, UTF-16 or a spreadsheet. What can be read for certain is read; what is a guess goes to
`Notes`; all else is refused with the command that makes it readable."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from smallsteps.errors import DataError, similar_file
from smallsteps.tasks.encodings import likely_encoding
from smallsteps.tasks.notes import Notes

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
"""First bytes → what reads it, from the standard library."""

_PICKLE = "a Python pickle, which may run any code when it is read. Convert it to JSON Lines"
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "Zstandard. Unpack it: zstd -d {name}",
    b"\x04\x22\x4d\x18": "LZ4. Unpack it: lz4 -d {name}",
    b"7z\xbc\xaf\x27\x1c": "7-Zip. Unpack it: 7z x {name}",
    b"%PDF": "a PDF. Copy its data into a .jsonl or .csv file",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file. Save the table as CSV (UTF-8)",
    b"SQLite format 3": "an SQLite database. Write a query to CSV: "
    "sqlite3 -csv -header {name} 'SELECT …'",
    b"\x89HDF": "an HDF5 file. Convert it to JSON Lines or Parquet",
    b"\x80\x04": _PICKLE,
    b"\x80\x05": _PICKLE,
}
_ZIP = b"PK\x03\x04"

BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Byte-order marks → encodings that read them; UTF-32 first, whose mark starts like UTF-16's."""

SAMPLE = 1 << 16
"""Bytes after a line that is no UTF-8 from which its encoding is guessed."""
HEAD = 4096
"""Bytes from which compression and encoding are told."""
_ADDRESS = re.compile(r"(https?:)/+(.+)")
"""Of a file on the web, as `Path` writes it: with one slash."""
_HUB_NAME = re.compile(r"[\w-]+/[\w-]+(\.\d+)?")
"""Of a data set, without an ending of files."""
LONGEST_SHOWN = 200
"""Characters of a path in a message."""
LONGEST_LINE = 1 << 28
"""Characters of one line; more is no line of data but a broken or a hostile file."""


def check_exists(path: Path) -> None:
    """Raises DataError where `path` is no file that can be read, and names what is near it."""
    shown = str(path) if len(str(path)) <= LONGEST_SHOWN else f"{str(path)[:LONGEST_SHOWN]}…"
    try:
        if path.is_file():
            return
        if path.is_dir():
            if (path / "run.json").is_file():
                raise DataError(
                    f"{shown}: a run folder, not a file of rows. Answers of its best student "
                    f"become one: smallsteps solve {shown} QUESTIONS --out answers.jsonl"
                )
            raise DataError(f"{shown}: a folder, not a file. {_inside(path)}")
        if path.exists():
            raise DataError(
                f"{shown}: a device or a pipe, not a file. Data is read more than once: "
                "write it to a .jsonl file first."
            )
        if address := _ADDRESS.match(str(path)):
            raise DataError(
                f"{address[1]}//{address[2]}: an address, not a file. Fetch it first: "
                f"curl -LO {address[1]}//{address[2]}"
            )
        if not path.parent.is_dir():
            hint = "Check the path."
            if _HUB_NAME.fullmatch(str(path)):
                hint = f"If it is a data set of the hub: hub:{path}:SPLIT"
            raise DataError(f"{shown}: no such file, and no folder {path.parent}. {hint}")
        names = [p.name for p in path.parent.iterdir() if p.is_file()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a possible path"
        raise DataError(f"{shown}: cannot be read ({reason}). Check the path.") from None
    meant = similar_file(path.name, names)
    hint = f"Did you mean {path.parent / meant}?" if meant else "Check the path."
    raise DataError(f"{shown}: no such file. {hint}")


def _inside(folder: Path) -> str:
    endings = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".gz")
    names = sorted(p.name for p in folder.iterdir() if p.suffix in endings)
    return f"Name one of its files: {', '.join(names[:8])}." if names else "Name a .jsonl file."


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What the system and the decompressors raise, as one DataError."""
    try:
        yield
    except PermissionError:
        raise DataError(
            f"{path}: no permission to read it. Allow it: chmod u+r {path.name}"
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError):
        raise DataError(
            f"{path}: the compressed file is cut off or damaged. Fetch it again."
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Check the file."
        ) from None


def first_bytes(path: Path) -> bytes:
    """The first bytes of the file as it lies on the disk."""
    with readable(path), path.open("rb") as file:
        return file.read(HEAD)


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raises DataError on a file that is known and is no text, with the way to make it one."""
    if head.startswith(_ZIP):
        sheet = path.suffix.lower() in (".xlsx", ".xlsm", ".ods")
        advice = "Save the table as CSV (UTF-8)" if sheet else f"Unpack it: unzip {path.name}"
        raise DataError(
            f"{path}: {'a spreadsheet' if sheet else 'a zip archive'}, not text. {advice}."
        )
    for start, advice in _FOREIGN.items():
        if head.startswith(start):
            raise DataError(f"{path}: not text but {advice.format(name=path.name)}.")


def open_bytes(path: Path, notes: Notes) -> IO[bytes]:
    """The bytes of a file, unpacked where it is compressed. Call it inside `readable`."""
    head = first_bytes(path)
    for start, (name, opener) in _COMPRESSED.items():
        if head.startswith(start):
            notes.compression = name
            return opener(path, "rb")  # type: ignore[operator, no-any-return]
    return path.open("rb")


def text_encoding(path: Path, notes: Notes) -> str:
    """The encoding of a text file: by its mark, else UTF-16 or UTF-32 where every second byte is 0,
    else UTF-8.

    Raises DataError on a file that is no text.
    """
    with readable(path), open_bytes(path, notes) as file:
        head = file.read(HEAD)
    refuse_foreign(path, head)
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            if encoding != "utf-8-sig":
                notes.encoding = encoding.upper()
            return encoding
    if b"\x00" not in head:
        return "utf-8-sig"
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        if _fits(head, encoding):
            notes.encoding = encoding.upper()
            return encoding
    raise DataError(f"{path}: a binary file, not text. Expected JSON Lines, CSV, Parquet or Arrow.")


def _fits(head: bytes, encoding: str) -> bool:
    """Whether the bytes are text in this encoding: whole characters, no control characters, mostly
    ASCII signs of JSON and CSV."""
    width = 4 if "32" in encoding else 2
    try:
        text = head[: len(head) // width * width].decode(encoding)
    except UnicodeDecodeError:
        return False
    plain = sum(
        character.isascii() and (character.isprintable() or character in "\t\r\n")
        for character in text
    )
    return "\x00" not in text and plain >= max(1, len(text) // 8)


def lines(path: Path, notes: Notes) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of a text file, cut at LF. Raises DataError on bytes that are no text
    in its encoding."""
    encoding = text_encoding(path, notes)
    with readable(path), open_bytes(path, notes) as file:
        if encoding != "utf-8-sig":
            yield from _wide_lines(path, file, encoding)
            return
        number = 0
        while raw := file.readline(LONGEST_LINE):
            number += 1
            if len(raw) == LONGEST_LINE:
                raise DataError(
                    f"{path}:{number}: a line of more than {LONGEST_LINE >> 20} MiB is no row of "
                    "data."
                )
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                more = file.read(SAMPLE).rpartition(b"\n")[0]  # whole lines
                encoding = likely_encoding(raw + more)
                raise DataError(
                    f"{path}:{number}: {not_utf8(path, raw, error.start, encoding)}"
                ) from None


def _wide_lines(path: Path, file: IO[bytes], encoding: str) -> Iterator[tuple[int, str]]:
    try:
        with io.TextIOWrapper(file, encoding, newline="\n") as text:
            for number, line in enumerate(text, start=1):
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not {encoding.upper()} ({error.reason}); the file is cut off or mixed. "
            "Save it again as UTF-8."
        ) from None


def whole_text(path: Path, notes: Notes) -> str:
    """A whole text file."""
    return "".join(line for _, line in lines(path, notes))


def not_utf8(path: Path, raw: bytes, place: int, encoding: str) -> str:
    """What to say about bytes of a line that are no UTF-8: where, how they read in the encoding
    that is likely, and how to convert."""
    start = max(0, place - 12)
    shown = raw[start : place + 13].decode(encoding, "replace").strip()
    before, after = (shlex.quote(name) for name in (path.name, f"{path.stem}-utf8{path.suffix}"))
    return (
        f"not UTF-8 (byte {place + 1} of the line is 0x{raw[place]:02x}). "
        f"Read as {encoding} it says {shown!r}; if "
        f"that is right: iconv -f {encoding} -t UTF-8 {before} > {after}"
    )
