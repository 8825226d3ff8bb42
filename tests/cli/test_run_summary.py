"""What the terminal shows after a run."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pytest

from smallsteps.cli.run_summary import print_run_summary
from smallsteps.experiment.method_modules import before_module
from smallsteps.experiment.recipe import load_recipe
from smallsteps.experiment.results import BestStudent


@pytest.mark.parametrize("name", ["my runs/a", "a[/b]c", "it's"])
@pytest.mark.parametrize(
    ("recipe", "method", "first"),
    [
        ("demo", "baselines", ["smallsteps", "solve"]),
        ("demo", "as-es", ["smallsteps", "solve"]),
        ("tailored/demo", "tailored", ["smallsteps", "solve"]),
        ("guided/demo", "guided", ["smallsteps", "guide"]),
    ],
)
def test_the_proposed_command_can_be_pasted(name, recipe, method, first, tmp_path):
    out = tmp_path / name
    student = out / "arms/student"
    command = before_module(method).next_command(load_recipe(recipe, []), out, student)
    assert command[:2] == first and str(student) in command
    assert shlex.split(shlex.join(command)) == command


def test_an_untrained_student_that_leads_is_asked_by_its_name_and_task(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("smallsteps.cli.run_summary.write_page", lambda out: out / "report.html")
    monkeypatch.setattr("smallsteps.cli.run_summary.tables", lambda results: [])
    results = SimpleNamespace(
        comparisons=(),
        pooled_comparisons=(),
        arms=[SimpleNamespace(task="stories")],
        best=BestStudent(name="base", seed=0, folder=None, validation=30.0),
    )
    print_run_summary(load_recipe("demo", []), results, tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "best on validation: base, the student before training; no trained arm did better" in shown
    )
    assert "try it: smallsteps solve bundled 'your question' --task stories" in shown


def test_a_run_that_trains_no_student_proposes_no_command(tmp_path, monkeypatch, capsys):
    class NothingTrained:
        comparisons = ()
        pooled_comparisons = ()
        best = None

    monkeypatch.setattr("smallsteps.cli.run_summary.write_page", lambda out: out / "report.html")
    monkeypatch.setattr("smallsteps.cli.run_summary.tables", lambda results: [])
    print_run_summary(load_recipe("guided/demo", []), NothingTrained(), tmp_path)
    shown = capsys.readouterr().out.replace("\n", "")
    assert "report.html" in shown
    assert "best student" not in shown and "try it" not in shown
