"""Every arm that a recipe may name is explained on the page."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from smallsteps.experiment.method import methods
from smallsteps.report.arm_texts import arm_mark, arm_text, mark_notes
from smallsteps.report.plain_tables import as_markdown
from smallsteps.report.terminal import points_table, results_table

from .conftest import MakeRun, arm_result, plateau_results, read, results_of


@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_every_arm_of_a_method_is_explained_in_words_of_its_own(method) -> None:
    texts = {name: arm_text(name) for name in method.arm_names()}
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    assert len(set(texts.values())) == len(texts)


def test_the_page_explains_its_arms(make_run: MakeRun) -> None:
    text = read(make_run(plateau_results())).text
    assert "base the student as it is, not trained" in text
    assert "ases-uni-rouge learns segments, cut by ROUGE with the question; one model" in text


def test_an_arm_of_a_joined_run_is_explained_as_in_its_own() -> None:
    assert arm_text("ases-uni-ent-beta=0.8@mine") == arm_text("ases-uni-ent")


@pytest.mark.parametrize(
    ("name", "control", "mark"),
    [
        ("direct", False, ""),
        ("ases-uni-gold", False, "ceiling"),
        ("ases-dual-gold-gamma=0.5@runs/b", False, "ceiling"),
        ("ases-uni-chunks", True, "control"),
        ("guided-gold-facts", True, "ceiling"),
        ("guided-both-gold", True, "ceiling"),
        ("guided-both-masked", True, "control"),
        ("guided-random-context", True, "control"),
    ],
)
def test_arms_that_are_not_for_use_are_marked(name: str, control: bool, mark: str) -> None:
    assert arm_mark(name, control) == mark


def test_terminal_page_and_markdown_mark_the_same_arms(make_run: MakeRun) -> None:
    """The trap: only the page told a control from an arm."""
    arms = [
        arm_result("direct", 50.0),
        arm_result("ases-uni-gold", 60.0),
        arm_result("ases-uni-chunks", 40.0, control=True),
    ]
    found = results_of(*arms)
    console = Console(file=StringIO(), width=80)
    console.print(results_table(found))
    terminal = console.file.getvalue()  # type: ignore[attr-defined]
    page = read(make_run(found)).text
    markdown = as_markdown(found, [])
    for text in (terminal, page):
        assert "control: for comparison only" in text.replace("Control:", "control:")
        assert "ceiling: uses labels or answers" in text.replace("Ceiling:", "ceiling:")
    assert [line.split()[:1] for line in terminal.splitlines()].count(["control"]) == 1
    assert "ases-uni-chunks control" in page and "ases-uni-gold ceiling" in page
    assert "ases-uni-chunks (control)" in markdown and "ases-uni-gold (ceiling)" in markdown
    assert "direct (" not in markdown and mark_notes(arms[:1]) == []


def test_the_table_of_points_marks_them_too() -> None:
    found = plateau_results()
    arms = [arm.model_copy(update={"control": arm.name == "answer-only"}) for arm in found.arms]
    console = Console(file=StringIO(), width=80)
    console.print(points_table(found.model_copy(update={"arms": arms})))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "control: for comparison only" in text
