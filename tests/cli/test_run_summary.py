"""What the terminal shows after a run."""

from __future__ import annotations

import shlex

import pytest

from report.conftest import plateau_results, trained, untrained
from smallsteps.cli.run_summary import print_run_summary
from smallsteps.experiment.method_modules import before_module
from smallsteps.experiment.recipe import load_recipe
from smallsteps.experiment.results import write_results
from smallsteps.experiment.run_facts import BestStudent


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


def finished(folder, **more):
    """A run folder with results whose arms have curves."""
    results = plateau_results(**more)
    write_results(folder, results)
    return results


def test_the_end_of_a_run_shows_tables_figure_verdict_files_and_the_next_command(tmp_path, capsys):
    recipe = load_recipe("demo", ["arms=[direct,ases-uni-rouge]"])
    print_run_summary(recipe, finished(tmp_path), tmp_path)
    shown = capsys.readouterr().out
    places = [
        shown.index(words)
        for words in (
            "Pens until the plateau",
            "on validation against training tokens",
            "ases-uni-rouge, best on validation, compared with direct",
            "best student: ases-uni-rouge (seed 0, chosen on validation)",
            "figure.svg",
            "try it: smallsteps solve",
        )
    ]
    assert places == sorted(places)
    assert {"report.html", "figure.svg"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("trained_arms", "more"),
    [([trained("direct", 20.0, 10.0, 12.0)], "; no trained arm did better"), ([], "")],
)
def test_an_untrained_student_that_leads_is_asked_by_its_name_and_task(
    tmp_path, capsys, trained_arms, more
):
    best = BestStudent(name="base", seed=0, folder=None, validation=30.0)
    arms = [untrained("base", 29.0, task="stories"), *trained_arms]
    results = finished(tmp_path, best=best, arms=arms, points=[], comparisons=[])
    print_run_summary(load_recipe("demo", []), results, tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"best on validation: base, the student before training{more} " in shown
    assert "try it: smallsteps solve bundled-causal 'your question' --task stories" in shown


def test_a_run_that_trains_no_student_proposes_no_command(tmp_path, capsys):
    results = finished(
        tmp_path, best=None, arms=[untrained("base", 40.0)], points=[], comparisons=[]
    )
    print_run_summary(load_recipe("guided/demo", []), results, tmp_path)
    shown = capsys.readouterr().out.replace("\n", "")
    assert "report.html" in shown and "figure.svg" not in shown
    assert "best student" not in shown and "try it" not in shown


def test_a_student_that_nothing_was_measured_of_is_not_called_chosen_on_validation(
    tmp_path, capsys
):
    best = BestStudent(name="direct", seed=0, folder="arms/direct-seed0", validation=None)
    recipe = load_recipe("demo", ["arms=[direct,ases-uni-rouge]"])
    print_run_summary(recipe, finished(tmp_path, best=best, points=[]), tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "best student: direct (seed 0, the first arm: nothing was measured on validation)" in shown
    )
    assert "chosen on validation" not in shown and "best on validation" not in shown
