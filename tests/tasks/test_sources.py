"""Files as they come: compressed, in any Unicode encoding, or no text at all."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_problems, read_rows
from smallsteps.tasks.sources import check_exists

ROWS = [
    {"id": "1", "question": "Où est 肝 \u2028?", "answer": "7"},
    {"id": "2", "question": "Why?", "answer": "8"},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = 'id,question,answer\r\n1,"Où est 肝 \u2028?",7\r\n2,Why?,8\r\n'


def rows(path: Path) -> list[dict[str, str]]:
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    ("name", "text"), [("c.jsonl", LINES), ("c.csv", CSV), ("c.json", json.dumps(ROWS, indent=1))]
)
def test_compressed_files_are_read_whatever_packed_them(
    tmp_path: Path, pack: object, name: str, text: str
) -> None:
    ending = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[pack]  # type: ignore[index]
    path = tmp_path / (name + ending)
    path.write_bytes(pack(text.encode()))  # type: ignore[operator]
    assert rows(path) == ROWS


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize(
    ("name", "text"),
    [("c.jsonl", LINES), ("c.csv", CSV), ("c.json", json.dumps(ROWS, ensure_ascii=False))],
)
def test_every_unicode_encoding_is_told_from_the_first_bytes(
    tmp_path: Path, encoding: str, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert rows(path) == ROWS


def test_what_was_guessed_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes("id;question;answer\n1;Why?;7\n".encode("utf-16"))
    said: list[str] = []
    read_problems(path, get_task("gsm8k"), say=said.append)
    assert said == [f"{path}: read as UTF-16, separated by semicolons"]
    path.write_text("id,question,answer\n1,Why?,7\n", encoding="utf-8")
    read_problems(path, get_task("gsm8k"), say=said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (
            b"\x00\x01\x02\xff" * 99,
            "c.jsonl",
            r"c\.jsonl: a binary file, not text\. Expected JSON Lines, CSV",
        ),
        (b"PK\x03\x04rest", "c.xlsx", r"c\.xlsx: a spreadsheet, not text\. Save the table as CSV"),
        (
            b"PK\x03\x04rest",
            "c.jsonl",
            r"c\.jsonl: a zip archive, not text\. Unpack it: unzip c\.jsonl",
        ),
        (
            b"\x28\xb5\x2f\xfdrest",
            "c.jsonl.zst",
            r"c\.jsonl\.zst: not text but Zstandard\. Unpack it: zstd -d c\.jsonl",
        ),
        (b"%PDF-1.7", "c.jsonl", r"not text but a PDF"),
        (b"\x80\x04\x95", "c.pkl", r"not text but a Python pickle, which may run any code"),
        (
            gzip.compress(LINES.encode(), mtime=0)[:40],
            "c.gz",
            r"c\.gz: the compressed file is cut off or damaged",
        ),
        (b"\x1f\x8bnothing", "c.gz", r"c\.gz: the compressed file is cut off or damaged"),
        (
            lzma.compress(LINES.encode())[:30],
            "c.xz",
            r"c\.xz: the compressed file is cut off or damaged",
        ),
        (gzip.compress(b"", mtime=0), "c.jsonl.gz", r"c\.jsonl\.gz: the file is empty"),
        (LINES.encode("utf-16")[:-1], "c.jsonl", r"c\.jsonl: not UTF-16 \(truncated data\)"),
        (
            '{"question": "姓名是什么"}'.encode("gb18030"),
            "c.jsonl",
            r"Read as GB18030 it says .*姓名是什么",
        ),
        (
            '{"question": "Münze"}'.encode("cp1252"),
            "c.jsonl",
            r"Read as WINDOWS-1252 it says .*Münze.*iconv -f WINDOWS",
        ),
    ],
)
def test_what_is_no_text_is_named_with_the_way_to_make_it_one(
    tmp_path: Path, raw: bytes, name: str, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        rows(path)


def test_what_is_no_file_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        DataError,
        match=r"/dev/null: a device or a pipe, not a file\. .* write it to a \.jsonl file",
    ):
        rows(Path("/dev/null"))
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        rows(tmp_path / ("x" * 300))
    with pytest.raises(DataError, match=r"a folder, not a file\. Name a \.jsonl file"):
        rows(tmp_path)
    path = tmp_path / "c.jsonl"
    path.write_text(LINES, encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match=r"loop: no such file"):
        rows(tmp_path / "loop")
    if os.geteuid() == 0:  # whom no mode keeps out
        monkeypatch.setattr(Path, "open", _forbidden)
    else:
        path.chmod(0)
    with pytest.raises(
        DataError, match=r"c\.jsonl: no permission to read it\. Allow it: chmod u\+r c\.jsonl"
    ):
        rows(path)


def _forbidden(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_the_command_that_converts_a_file_can_be_pasted_whatever_the_file_is_called(tmp_path):
    (tmp_path / "my rows;x.jsonl").write_bytes('{"id": "é"}'.encode("latin-1"))
    with pytest.raises(
        DataError, match=r"iconv -f \S+ -t UTF-8 'my rows;x.jsonl' > 'my rows;x-utf8.jsonl'"
    ):
        list(read_rows(tmp_path / "my rows;x.jsonl"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nofile", "nofile: no such file. Check the path."),
        ("mine.jsonl", "mine.jsonl: no such file. Check the path."),
        (
            "openai/gsm8k",
            "no folder openai. If it is a data set of the hub: hub:openai/gsm8k:SPLIT",
        ),
        ("data/mine.jsonl", "no such file, and no folder data. Check the path."),
        ("a/b/c", "no such file, and no folder a/b. Check the path."),
    ],
)
def test_only_what_reads_like_a_name_of_the_hub_is_sent_there(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refused:
        check_exists(Path(name))
    assert str(refused.value).endswith(hint) and "hub" not in str(refused.value).replace(hint, "")


def test_a_run_folder_in_place_of_a_file_says_how_its_student_writes_one(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    message = r": a run folder, not a file of rows\. .* smallsteps solve .* QUESTIONS --out answers"
    with pytest.raises(DataError, match=message):
        check_exists(tmp_path)
