"""Further test sets for other programs: numbers as they are, every row of the same width."""

from __future__ import annotations

import csv
import io
import json

from smallsteps.report.plain_sets import further_cells, further_columns, further_rows
from smallsteps.report.plain_tables import as_csv, as_json, as_latex, as_markdown

from .conftest import further_results, results

FOUND = results(**further_results("svamp", "gsm8k/hard"))


def test_json_has_a_row_for_each_set_and_arm_with_its_test() -> None:
    rows = json.loads(as_json(FOUND, []))["further"]
    assert rows == further_rows(FOUND)
    assert [(row["test_set"], row["arm"]) for row in rows] == [
        (name, arm)
        for name in ("svamp", "gsm8k/hard", None)
        for arm in ("direct", "ases-uni-inter")
    ]
    assert (rows[1]["value"], rows[1]["difference"], rows[1]["against"]) == (36.2, 6.2, "direct")
    assert rows[0]["against"] is None and rows[0]["difference"] is None
    assert json.loads(as_json(results(), []))["further"] == []


def test_csv_has_columns_of_each_set_behind_those_of_the_test_problems() -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(FOUND, []))))
    plain = list(csv.DictReader(io.StringIO(as_csv(results(), []))))
    assert list(read[0])[: len(plain[0])] == list(plain[0]), "old columns stay where they were"
    assert float(read[1]["svamp.difference"]) == 6.2 and read[0]["svamp.difference"] == ""
    assert read[1]["all_sets.n"] == "390" and read[1]["gsm8k/hard.value"] == "29.6"
    assert read[2]["svamp.value"] == "", "an arm without a figure there"
    assert further_columns(results()) == {}


def test_people_read_two_columns_for_each_set() -> None:
    header, direct, inter = further_cells(FOUND)
    assert header[:3] == ["Arm", "svamp: Accuracy (95 %), n = 200", "Difference from direct (95 %)"]
    assert direct[1:3] == ["30.0 (25.9 to 34.3)", "–"]
    assert inter[2] == "+6.2* (+3.1 to +9.4)" and inter[4] == "−0.4 (−3.5 to +2.8)"
    assert len({len(row) for row in (header, direct, inter)}) == 1
    assert further_cells(results()) == []


def test_markdown_and_latex_have_a_second_table() -> None:
    first, second, verdict = as_markdown(FOUND, []).split("\n\n")
    assert second.startswith("| Arm | svamp: Accuracy (95 %), n = 200 |")
    assert "+6.2\\*" in second and verdict.startswith("ases-uni-inter")
    assert first == as_markdown(results(), []).split("\n\n")[0]
    assert as_latex(FOUND, []).count(r"\begin{tabular}") == 2
    assert as_latex(results(), []).count(r"\begin{tabular}") == 1
