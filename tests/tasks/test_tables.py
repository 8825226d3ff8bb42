"""CSV with the standard library; Parquet and the hub through an extra that may be absent."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, read_problems, read_rows, write_rows
from smallsteps.tasks.notes import Notes


def fake_datasets(
    monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], calls: list[Any]
) -> None:
    def load_dataset(*names: str, **where: str) -> list[dict[str, Any]]:
        calls.append((names, where))
        if "nowhere" in names:
            raise FileNotFoundError("no such data set")
        return rows

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_csv_is_read_with_quoted_commas_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(
        '\ufeffid,question,rationale,answer,correct\n1,"How, many?","3 + 4\n= 7.",7,\n2,Q,R.,8,false\n'.encode()
    )
    assert [line for line, _ in read_rows(path)] == [3, 4]
    file = read_chains(path, get_task("gsm8k"))
    assert file.chains[0].problem.question == "How, many?"
    assert file.chains[0].rationale.text == "3 + 4\n= 7. The answer is 7."
    assert file.wrong_ids == ("2",)


def test_tsv_and_a_list_of_choices_in_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text(
        'question\trationale\tanswer\tchoices\nWhere?\tSo.\tzoo\t"[""zoo"", ""river""]"\n',
        encoding="utf-8",
    )
    (chain,) = read_chains(path, get_task("commonsenseqa")).chains
    assert chain.problem.choices == ("zoo", "river")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            b"id,question\n1,a,b\n",
            r"c\.csv:2: the row does not have the 2 cells of the header \(separated by ','\)\. "
            r"Quote cells",
        ),
        (b"id,question\n1\n", r"c\.csv:2: the row does not have the 2 cells"),
        (b'id,question\n1,"a"b\n', r"c\.csv:2: broken CSV .* Check the quotes"),
        (
            b"id,question\n1,caf\xe9\n",
            r"c\.csv:2: not UTF-8 .* '1,café'.*iconv -f WINDOWS-1252 -t UTF-8 c\.csv",
        ),
        (b"id,question,id\n1,a,2\n", r"c\.csv:1: two columns are named 'id'"),
        (b"id,question\n", r"c\.csv: the file is empty"),
        (b"", r"c\.csv: the file is empty"),
    ],
)
def test_broken_csv_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "c.csv").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        list(read_rows(tmp_path / "c.csv"))


def test_the_extra_is_named_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("datasets", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    for source in (tmp_path / "c.parquet", "hub:openai/gsm8k:main:train"):
        with pytest.raises(DataError, match=r"needs an extra: pip install 'smallsteps\[hub\]'"):
            list(read_rows(source))


def test_hub_names_carry_config_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake_datasets(
        monkeypatch, [{"question": "How many?", "cot": "7.", "answer": 7, "note": None}], calls
    )
    chain = read_chains(
        "hub:openai/gsm8k:main:train", get_task("gsm8k"), {"rationale": "cot"}
    ).chains[0]
    assert calls == [(("openai/gsm8k", "main"), {"split": "train", "revision": None})]
    assert (chain.problem.id, chain.problem.meta) == ("line-000001", {})
    with pytest.raises(DataError, match=r"expected hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT"):
        list(read_rows("hub:openai/gsm8k"))
    with pytest.raises(
        DataError,
        match=r"hub:nowhere:train: cannot be loaded \(FileNotFoundError: no such data set\)",
    ):
        list(read_rows("hub:nowhere:train"))


def test_a_revision_of_a_hub_data_set_is_named_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake_datasets(monkeypatch, [{"question": "How many?"}], calls)
    list(read_rows("hub:openai/gsm8k@e53f048:main:train"))
    list(read_rows("hub:openai/gsm8k@e53f048:test"))
    assert calls == [
        (("openai/gsm8k", "main"), {"split": "train", "revision": "e53f048"}),
        (("openai/gsm8k",), {"split": "test", "revision": "e53f048"}),
    ]
    for wrong in ("hub:openai/gsm8k@:train", "hub:@e53f048:train", "hub:openai/gsm8k@e53f048"):
        with pytest.raises(DataError, match=r"NAME@REVISION names a commit or a branch"):
            list(read_rows(wrong))
    with pytest.raises(DataError, match=r"Check the name, the revision, the split and the network"):
        list(read_rows("hub:nowhere@e53f048:train"))


def test_parquet_and_arrow_files_of_both_kinds_are_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    when = datetime(2024, 5, 17, 12)
    facts = {"when": [when, None], "raw": [b"\x00\xff", b""], "score": [float("nan"), 1.5]}
    table = pyarrow.table({"question": ["How many?", "Why?"], "answer": [7, 8], **facts})
    parquet.write_table(table, tmp_path / "c.parquet")
    with (
        pyarrow.OSFile(str(tmp_path / "file.arrow"), "wb") as sink,
        pyarrow.ipc.new_file(sink, table.schema) as out,
    ):
        out.write_table(table)
    with (
        pyarrow.OSFile(str(tmp_path / "stream.arrow"), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table)
    (tmp_path / "named.bin").write_bytes((tmp_path / "c.parquet").read_bytes())
    for name in ("c.parquet", "file.arrow", "stream.arrow", "named.bin"):
        first, second = read_problems(tmp_path / name, get_task("gsm8k"))
        assert (first.question, first.answer, second.answer) == ("How many?", "7", "8")
        assert first.meta == {"when": "2024-05-17T12:00:00", "raw": "(2 bytes)", "score": None}
        write_rows(tmp_path / "out.jsonl", [first.to_row(), second.to_row()])


@pytest.mark.parametrize("name", ["c.parquet", "c.arrow"])
def test_damaged_tables_are_refused(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(
        b"PAR1 and then nothing" if name == "c.parquet" else b"ARROW1 and then nothing"
    )
    with pytest.raises(
        DataError,
        match=rf"{re.escape(name)}: no whole Parquet or Arrow file \(.*\)\. Fetch it again",
    ):
        list(read_rows(tmp_path / name))


@pytest.mark.parametrize(
    ("header", "row", "separator"),
    [
        ("id;question;answer", "1;How many, then?;7", ";"),
        ("id\tquestion\tanswer", "1\tHow many, then?\t7", "\t"),
        ("id|question|answer", "1|How many, then?|7", "|"),
        ("id,question,answer", '1,"How many, then?",7', ""),
        ('id;"question, or more";question;answer', "1;a;How many, then?;7", ";"),
        ("sep=;\r\nid;question;answer", "1;How many, then?;7", ""),
    ],
)
def test_the_separator_is_told_from_the_header(
    tmp_path: Path, header: str, row: str, separator: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(f"{header}\r\n{row}\r\n".encode())
    notes = Notes()
    ((line, read),) = read_rows(path, notes)
    assert {**read, "question, or more": None} == {
        **read,
        "question": "How many, then?",
        "answer": "7",
        "id": "1",
        "question, or more": None,
    }
    assert notes.separator == separator
    assert line == header.count("\n") + 2


def test_a_cell_may_be_longer_than_the_csv_module_reads_by_default(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"question,answer\n{'a ' * 100_000},7\n", encoding="utf-8")
    assert len(next(read_rows(path))[1]["question"]) == 200_000
