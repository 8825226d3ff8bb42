from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.cli.main import main
from smallsteps.cli.showing import Shown

JOB = "smallsteps.cli.showing.show_runs"


def test_defaults(passed):
    assert passed(JOB, "show", "runs/mine") == ([Path("runs/mine")], Shown(), None)


def test_options(passed):
    options = ["--figure", "x.png", "--cost", "passes", "--page", "x.html", "--baseline", "base"]
    assert passed(JOB, "show", "a", "b", *options, "--csv") == (
        [Path("a"), Path("b")],
        Shown(Path("x.png"), "passes", Path("x.html"), "csv"),
        "base",
    )


@pytest.mark.parametrize("name", ["json", "csv", "markdown", "latex"])
def test_each_format_has_a_flag(name, passed):
    assert passed(JOB, "show", "a", f"--{name}")[1].format == name


def test_two_formats_are_refused(capsys):
    assert main(["show", "a", "--json", "--latex"]) == 2
    assert "--json and --latex exclude each other" in capsys.readouterr().err
