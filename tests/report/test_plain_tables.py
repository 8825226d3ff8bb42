"""Tables for other programs: numbers as they are, text escaped."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest

from kept_runs import make_kept_run
from report.conftest import arm_result, comparison, results
from smallsteps.experiment.so_far import read_so_far
from smallsteps.report.plain_tables import (
    FORMATS,
    as_csv,
    as_json,
    as_latex,
    as_markdown,
    latex_text,
    markdown_text,
    rows_of,
)

EVIL = "a_b & 5% | <i> $x$ \\end{x} #~^ `c` [d]*\nsecond"


def test_a_row_holds_the_figure_the_costs_and_the_main_test():
    rows = {row.arm: row for row in rows_of(results())}
    test = next(t for t in results().comparisons if t.arm == "ases-uni-inter")
    row = rows["ases-uni-inter"]
    assert (row.against, row.difference, row.p_mcnemar) == (
        "direct",
        test.difference,
        test.p_mcnemar,
    )
    assert rows["direct"].against is None and rows["direct"].difference is None
    assert row.train_tokens == 1_530_000


def test_json_holds_runs_arms_tests_and_verdict(tmp_path):
    folder = make_kept_run(tmp_path / "run", {("direct", 0): [1], ("base", 0): [2]})
    run = read_so_far(folder)
    text = as_json(run.results, [run])
    assert text.isascii()
    content = json.loads(text)
    assert content["runs"][0]["folder"] == str(folder)
    assert content["runs"][0]["state"] == "finished"
    assert [row["arm"] for row in content["arms"]] == ["direct", "base"]
    assert content["tests"][0]["against"] == "direct" and "direct" in content["verdict"]


def test_csv_reads_back_as_the_rows():
    found = results()
    read = list(csv.DictReader(io.StringIO(as_csv(found, []))))
    assert [row["arm"] for row in read] == [row.arm for row in rows_of(found)]
    assert [float(row["value"]) for row in read] == [row.value for row in rows_of(found)]
    assert read[0]["seeds"] == "0"


def test_markdown_is_one_table_and_the_verdict_below():
    table, verdict = as_markdown(results(), []).split("\n\n")
    lines = table.splitlines()
    assert lines[0].startswith("| Arm | Accuracy (95 %) | Difference from direct (95 %) | p |")
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert "Teacher tokens" not in lines[0], "a column that no row fills"
    assert verdict.startswith("ases-uni-inter")


def test_where_arms_are_tested_against_several_the_other_arm_has_a_column():
    arms = [arm_result(name, 40.0) for name in ("direct", "a", "b")]
    tests = [comparison("a", "direct", 1.0, -1.0, 3.0), comparison("b", "a", 1.0, 0.5, 3.0)]
    header, _, _, a, b = as_markdown(results(arms=arms, comparisons=tests), []).splitlines()[:5]
    assert "| From | Difference (95 %) |" in header
    assert "| direct | +1.0 (−1.0 to +3.0) |" in a
    assert "| a | +1.0\\* (+0.5 to +3.0) |" in b


@pytest.mark.parametrize("name", ["markdown", "latex"])
def test_names_of_arms_are_escaped_in_tables(name):
    arms = [arm_result("direct", 40.0), arm_result("x_y|*<b>", 50.0)]
    text = FORMATS[name](results(arms=arms, comparisons=[], best=None), [])
    outside_comments = [line for line in text.splitlines() if not line.startswith("%")]
    assert "x_y|*<b>" not in "\n".join(outside_comments)
    assert text.count("50.0 (45.9 to 54.3)") == 1


def test_markdown_and_latex_escape_every_sign_on_one_line():
    assert markdown_text(EVIL).splitlines() == [
        "a\\_b \\& 5% \\| \\<i\\> \\$x\\$ \\\\end{x} \\#\\~^ \\`c\\` \\[d\\]\\*; second"
    ]
    escaped = latex_text(EVIL)
    assert "\n" not in escaped
    assert escaped.startswith(r"a\_b \& 5\% \textbar{} \textless{}i\textgreater{} \$x\$")
    assert r"\textbackslash{}end\{x\} \#\textasciitilde{}\textasciicircum{}" in escaped


def test_latex_rows_have_as_many_cells_as_the_header():
    lines = as_latex(results(), []).splitlines()
    assert lines[0].startswith("% ") and r"\begin{tabular}{l" in "".join(lines)
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 4 and len({line.count(" & ") for line in rows}) == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
def test_latex_compiles(tmp_path):
    found = results(arms=[arm_result(EVIL, 40.0)], comparisons=[], best=None)
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
    (tmp_path / "x.tex").write_text(f"{head}\n{as_latex(found, [])}\n\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
