"""CSV with the standard library; Parquet and the hub through an extra that may be absent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, read_rows


def fake_datasets(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], calls: list[Any]) -> None:
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
        'question\trationale\tanswer\tchoices\nWhere?\tSo.\tzoo\t"[""zoo"", ""river""]"\n', encoding="utf-8"
    )
    (chain,) = read_chains(path, get_task("commonsenseqa")).chains
    assert chain.problem.choices == ("zoo", "river")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"id,question\n1,a,b\n", r"c\.csv:2: the row does not have the 2 cells of the header\. Quote cells"),
        (b"id,question\n1\n", r"c\.csv:2: the row does not have the 2 cells"),
        (b'id,question\n1,"a"b\n', r"c\.csv:2: broken CSV .* Check the quotes"),
        (b"id,question\n1,caf\xe9\n", r"c\.csv:\d: not UTF-8\. .*iconv -f LATIN1 -t UTF-8 c\.csv"),
        (b"id,question\n", r"c\.csv: the file is empty"),
        (b"", r"c\.csv: the file is empty"),
    ],
)
def test_broken_csv_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "c.csv").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        list(read_rows(tmp_path / "c.csv"))


def test_the_extra_is_named_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    for source in (tmp_path / "c.parquet", "hub:openai/gsm8k:main:train"):
        with pytest.raises(DataError, match=r"needs an extra: pip install 'smallsteps\[hub\]'"):
            list(read_rows(source))


def test_hub_names_carry_config_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake_datasets(monkeypatch, [{"question": "How many?", "cot": "7.", "answer": 7, "note": None}], calls)
    chain = read_chains("hub:openai/gsm8k:main:train", get_task("gsm8k"), {"rationale": "cot"}).chains[0]
    assert calls == [(("openai/gsm8k", "main"), {"split": "train"})]
    assert (chain.problem.id, chain.problem.meta) == ("line-000001", {})
    with pytest.raises(DataError, match=r"expected hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT"):
        list(read_rows("hub:openai/gsm8k"))
    with pytest.raises(DataError, match=r"hub:nowhere:train: cannot be loaded \(FileNotFoundError: no such data set\)"):
        list(read_rows("hub:nowhere:train"))


def test_parquet_goes_through_the_same_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake_datasets(monkeypatch, [{"a": 1}], calls)
    path = tmp_path / "c.parquet"
    path.write_bytes(b"PAR1")
    assert list(read_rows(path)) == [(1, {"a": 1})]
    assert calls == [(("parquet",), {"data_files": str(path), "split": "train"})]
