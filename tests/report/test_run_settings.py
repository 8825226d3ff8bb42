"""Joined runs say in which settings they differ, and compare times on one machine only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kept_runs import make_kept_run
from smallsteps.errors import RunFolderError
from smallsteps.experiment.so_far import RunSoFar, read_so_far
from smallsteps.report.joined import join_runs
from smallsteps.report.page import render
from smallsteps.report.plain_tables import as_json, as_markdown
from smallsteps.report.run_settings import differing_settings, labels, times_compare
from smallsteps.report.terminal_runs import settings_table

from .conftest import Elements

FIRST = {("direct", 0): [1, 2, 3]}
SECOND = {("ases-uni-rouge", 1): [0, 1, 2, 3]}


def two_runs(tmp_path: Path, **train: object) -> list[RunSoFar]:
    make_kept_run(tmp_path / "a", FIRST, title="first")
    make_kept_run(tmp_path / "b", SECOND, title="second", train=train)
    return [read_so_far(tmp_path / name) for name in "ab"]


def on_machine(run: RunSoFar, hardware: str | None) -> RunSoFar:
    """The run, made on another machine; None: nobody knows on which."""
    content = json.loads((run.folder / "run.json").read_text())
    content["provenance"] = {"hardware": hardware}
    (run.folder / "run.json").write_text(json.dumps(content))
    made = run.results.provenance
    assert made is not None
    changed = None if hardware is None else made.model_copy(update={"hardware": hardware})
    results = run.results.model_copy(update={"provenance": changed})
    return RunSoFar(run.folder, run.state, results, run.graded, run.planned)


def test_only_settings_that_differ_are_named_and_neither_arms_seeds_nor_title(tmp_path) -> None:
    runs = two_runs(tmp_path, learning_rate=3e-4, passes=2.0)
    rows = differing_settings(runs)
    assert [(row.key, row.values) for row in rows] == [
        ("train.passes", ["20.0", "2.0"]),
        ("train.learning_rate", ["–", "0.0003"]),
    ]
    assert differing_settings(two_runs(tmp_path / "same")) == []
    (runs[0].folder / "recipe.yaml").unlink()
    assert differing_settings(runs[:1]) == [], "results may be given away without a recipe"


def test_a_section_that_only_one_run_has_is_no_difference(tmp_path) -> None:
    """The trap: `base` reads a section that the other run does not have."""
    make_kept_run(tmp_path / "a", FIRST)
    make_kept_run(tmp_path / "b", {("base", 0): [1]})
    assert "baselines:\n" in (tmp_path / "b/recipe.yaml").read_text()
    assert differing_settings([read_so_far(tmp_path / name) for name in "ab"]) == []


def test_page_terminal_and_tables_for_programs_name_them(tmp_path) -> None:
    runs = two_runs(tmp_path, passes=2.0)
    joined = join_runs(runs)
    text = Elements(render(joined)).text
    assert "Settings that differ" in text and "train.passes 20.0 2.0" in text
    table = settings_table(runs)
    assert table is not None and [str(column.header) for column in table.columns] == [
        "setting",
        "a",
        "b",
    ]
    assert json.loads(as_json(joined.results, runs))["settings"] == {
        "train.passes": ["20.0", "2.0"]
    }
    assert "train.passes: 20.0, 2.0" in as_markdown(joined.results, runs)
    same = two_runs(tmp_path / "same")
    assert "All settings of the runs are the same" in Elements(render(join_runs(same))).text
    assert settings_table(same) is None


def test_a_recipe_that_cannot_be_read_is_named(tmp_path) -> None:
    runs = two_runs(tmp_path)
    (tmp_path / "b/recipe.yaml").write_text("a: [")
    with pytest.raises(RunFolderError, match=r"b/recipe\.yaml: cannot be read .* Leave the run"):
        differing_settings(runs)


@pytest.mark.parametrize(
    ("first", "second", "compare"), [("x", "x", True), ("x", "y", False), ("x", None, False)]
)
def test_times_compare_on_one_known_machine_only(tmp_path, first, second, compare) -> None:
    runs = two_runs(tmp_path)
    runs = [on_machine(runs[0], first), on_machine(runs[1], second)]
    assert times_compare(runs) is compare
    joined = join_runs(runs)
    assert ("times do not compare" in joined.notice) is not compare
    assert times_compare(runs[1:]), "one run compares with itself"


def test_a_run_that_grew_on_another_machine_compares_with_none(tmp_path) -> None:
    runs = [on_machine(run, "x") for run in two_runs(tmp_path)]
    content = json.loads((tmp_path / "b/run.json").read_text())
    content["earlier"] = [{"digest": "0", "provenance": {"hardware": "y"}}]
    (tmp_path / "b/run.json").write_text(json.dumps(content))
    assert not times_compare(runs)


def test_folders_of_one_name_are_told_apart_by_those_above() -> None:
    paths = [Path("/x/first/run"), Path("/x/second/run"), Path("/x/third")]
    assert labels(paths) == ["first/run", "second/run", "x/third"]
