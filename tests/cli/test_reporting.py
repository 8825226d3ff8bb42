"""`smallsteps report`: shows a finished run again, and leaves it as it is."""

from __future__ import annotations

import pytest

from report.conftest import plateau_results, results
from smallsteps.cli.main import main
from smallsteps.experiment.results import write_results


def test_it_prints_the_results_and_writes_page_and_figure_again(tmp_path, capsys):
    path = write_results(tmp_path, plateau_results())
    before = path.read_bytes()
    assert main(["report", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "ases-uni-rouge, best on validation, compared with direct" in " ".join(shown.split())
    assert {file.name for file in tmp_path.iterdir()} == {
        "results.json",
        "report.html",
        "figure.svg",
    }
    assert path.read_bytes() == before


def test_it_writes_the_figure_where_it_is_told_over_the_cost_that_it_is_told(tmp_path, capsys):
    write_results(tmp_path / "run", plateau_results())
    figure = tmp_path / "slides" / "cost.svg"
    options = ["--figure", str(figure), "--cost", "seconds"]
    assert main(["report", str(tmp_path / "run"), *options]) == 0
    assert "training time" in figure.read_text(encoding="utf-8")
    assert "against training time" in capsys.readouterr().out


def test_a_run_without_curves_has_tables_and_page_only(tmp_path, capsys):
    write_results(tmp_path, results())
    assert main(["report", str(tmp_path)]) == 0
    assert "figure" not in capsys.readouterr().out.replace(str(tmp_path), "")
    assert not (tmp_path / "figure.svg").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--figure", "x.pdf"], "expected a name that ends in .svg or .png"),
        (["--figure", "{run}/results.json"], "expected a name that ends in .svg or .png"),
        (["--figure", "{run}"], "expected a name that ends in .svg or .png"),
        (["--cost", "money"], "money, expected tokens, seconds, passes"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(options, message, tmp_path, capsys):
    write_results(tmp_path, plateau_results())
    options = [option.format(run=tmp_path) for option in options]
    assert main(["report", str(tmp_path), *options]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_that_is_no_finished_run_says_so(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "results.json: no such file" in capsys.readouterr().err
