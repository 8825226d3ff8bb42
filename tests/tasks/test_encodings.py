"""What bytes that are no UTF-8 are: texts of each language in their usual encodings."""

from __future__ import annotations

import json
import random

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks.encodings import likely_encoding
from smallsteps.tasks.files import read_rows

FRENCH = (
    "Où Léa a-t-elle passé l'été ? Elle a mangé 3 pâtes, puis 4 gâteaux à Noël.",
    "Le médecin a opéré un élève âgé de 9 ans. Combien d'élèves reste-t-il à l'école ?",
    "été",
    "Après le goûter, ça coûte 12 £ de moins : 5 × 3 = 15.",
)
GERMAN = (
    "Jörg kauft 3 Äpfel für 2 Euro. Wie viel muß er zahlen? Er läßt Übriges zurück.",
    "Die Größe der Fläche beträgt 12 m².",
    "Müller hört zwölf schöne Töne.",
)
SPANISH = (
    "¿Cuántos niños tenía el señor Núñez? Él tenía 3, después llegó otro más.",
    "¡El camión llevó 12 cajas de piñas a Málaga!",
    "año",
)
POLISH = ("Ile jabłek ma Łukasz? Miał siedem, zjadł trzy, więc zostały mu cztery jabłka w łódce.",)
RUSSIAN = (
    "У Маши было 3 яблока, она съела два. Сколько яблок осталось?",
    "Сколько стоит хлеб?",
    "Ответ: семь рублей и двадцать копеек.",
)
CHINESE = (
    "小明有三个苹果,又买了四个。他现在一共有多少个苹果?",
    "姓名是什么",
    "答案是七。因为三加四等于七,所以他有七个苹果。",
)
TRADITIONAL = ("小明有三個蘋果,又買了四個。他現在一共有多少個蘋果?答案是七個。",)
JAPANESE = (
    "太郎はりんごを三個持っています。あと四個買いました。全部でいくつですか。",
    "答えは七です。",
    "リンゴは何個ありますか?",
)
KOREAN = ("철수는 사과를 세 개 가지고 있습니다. 네 개를 더 샀습니다. 모두 몇 개입니까?",)
ENGLISH = ("Ann\u2019s mother didn\u2019t buy 3 pens \u2013 she bought \u201cfour\u201d.",)
TEXTS = {
    ("latin-1", "WINDOWS-1252"): FRENCH + GERMAN + SPANISH,
    ("cp1252", "WINDOWS-1252"): FRENCH + GERMAN + SPANISH + ENGLISH,
    ("cp1250", "WINDOWS-1250"): POLISH,
    ("cp1251", "WINDOWS-1251"): RUSSIAN,
    ("koi8-r", "KOI8-R"): RUSSIAN,
    ("gb18030", "GB18030"): CHINESE,
    ("big5", "BIG5"): TRADITIONAL,
    ("shift_jis", "SHIFT_JIS"): JAPANESE,
    ("euc_kr", "EUC-KR"): KOREAN,
}
CASES = [(text, codec, name) for (codec, name), texts in TEXTS.items() for text in texts]


@pytest.mark.parametrize(("text", "codec", "name"), CASES)
@pytest.mark.parametrize("row", ["{}", '{{"id": "1", "question": "{}", "answer": "7"}}', "1;{};7"])
def test_each_language_is_told_in_its_usual_encoding(text, codec, name, row):
    assert likely_encoding(row.format(text).encode(codec)) == name


@pytest.mark.parametrize(("codec", "name"), TEXTS)
def test_a_file_of_many_rows_is_told_whatever_their_order(codec, name):
    rows = [*TEXTS[codec, name], "Ann has 3 pens.", "12 + 3 = 15", "a,b;c"]
    for seed in range(20):
        random.Random(seed).shuffle(rows)
        assert likely_encoding("\n".join(rows).encode(codec)) == name


def test_a_latin_table_is_told_by_its_later_rows_too(tmp_path):
    """`été` alone is two bytes that pair up in GB18030 and one that does not."""
    path = tmp_path / "c.csv"
    rows = ["id,question,answer", "1,\xe9t,7", *(f"{n},{text},7" for n, text in enumerate(FRENCH))]
    path.write_bytes("\n".join(rows).encode("latin-1"))
    with pytest.raises(DataError, match="Read as WINDOWS-1252") as raised:
        list(read_rows(path))
    assert "iconv -f WINDOWS-1252 -t UTF-8 c.csv > c-utf8.csv" in str(raised.value)


def test_the_command_that_is_named_makes_the_file_readable(tmp_path):
    row = {"id": "1", "question": RUSSIAN[0], "answer": "1"}
    raw = json.dumps(row, ensure_ascii=False).encode("cp1251")
    path = tmp_path / "c.jsonl"
    path.write_bytes(raw.decode(likely_encoding(raw)).encode("utf-8"))
    assert [row for _, row in read_rows(path)] == [row]
