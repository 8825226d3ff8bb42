"""`smallsteps show`: shows runs again, finished or not, and leaves them as they are."""

from __future__ import annotations

import json

import pytest

from kept_runs import make_kept_run
from report.conftest import plateau_results, results
from smallsteps.cli.main import main
from smallsteps.experiment.results import write_results
from smallsteps.experiment.so_far import read_so_far
from smallsteps.report.plain_tables import FORMATS


def test_it_prints_the_results_and_writes_page_and_figure_again(tmp_path, capsys):
    path = write_results(tmp_path, plateau_results())
    before = path.read_bytes()
    assert main(["show", str(tmp_path)]) == 0
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
    assert main(["show", str(tmp_path / "run"), *options]) == 0
    assert "training time" in figure.read_text(encoding="utf-8")
    assert "against training time" in capsys.readouterr().out


def test_a_run_without_curves_has_tables_and_page_only(tmp_path, capsys):
    write_results(tmp_path, results())
    assert main(["show", str(tmp_path)]) == 0
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
    assert main(["show", str(tmp_path), *options]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_that_is_no_run_says_so(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 2
    assert "no run of smallsteps is here" in capsys.readouterr().err


RIGHT = {("base", 0): [2], ("direct", 0): [1, 2, 3]}


def shown(capsys, *arguments):
    """What `show` prints, on one line."""
    assert main(["show", *map(str, arguments)]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_run_that_was_cut_off_is_shown_as_far_as_it_is_with_its_page(tmp_path, capsys):
    planned = ["direct", "base", "answer-only"]
    folder = make_kept_run(tmp_path / "run", RIGHT, planned=planned, finished=False)
    text = shown(capsys, folder)
    assert text.startswith("Not finished: 2 of 3 arms (each seed counts) are graded.")
    assert "direct, best on validation, reaches 50.0 % on the test set" in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Not finished: 2 of 3 arms" in page
    assert "How many pens are 1 and 1 pens?" in page, "questions, before problems.jsonl is written"
    assert not (folder / "results.json").exists()


def test_a_run_that_has_graded_nothing_prints_its_state_alone(tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT, finished=False)
    for row in folder.glob("arms/*/page/result.json"):
        row.unlink()
    assert shown(capsys, folder).startswith("Not finished: 0 of 2 arms")
    assert not (folder / "report.html").exists()


def test_several_runs_are_one_table_and_their_folders_stay_as_they_are(tmp_path, capsys):
    folders = [
        make_kept_run(tmp_path / "first", RIGHT),
        make_kept_run(tmp_path / "second", {("direct", 0): [0], ("answer-only", 0): [5]}),
    ]
    before = sorted(tmp_path.rglob("*"))
    text = shown(capsys, *folders)
    assert text.startswith("Joined: first, second")
    assert "best on validation, reaches 50.0 %" in text and "report.html" not in text
    assert sorted(tmp_path.rglob("*")) == before


def test_joined_runs_that_differ_in_settings_say_so_below_their_table(tmp_path, capsys):
    folders = [
        make_kept_run(tmp_path / "first", RIGHT),
        make_kept_run(tmp_path / "second", {("direct", 0): [0]}, train={"passes": 2.0}),
    ]
    text = shown(capsys, *folders)
    assert text.startswith("Joined: first, second")
    assert text.index("answer") < text.index("Settings that differ") < text.index("reaches 50.0")
    assert "train.passes 20.0 2.0" in text


def test_the_joined_page_and_picture_are_written_where_they_are_told(tmp_path, capsys):
    folders = [make_kept_run(tmp_path / name, RIGHT) for name in ("first", "second")]
    page, figure = tmp_path / "out" / "joined.html", tmp_path / "out" / "joined.svg"
    shown(capsys, *folders, "--page", page, "--figure", figure)
    assert "direct@second" in page.read_text(encoding="utf-8")
    assert "direct@second" in figure.read_text(encoding="utf-8")


def test_the_page_of_one_run_is_written_where_it_is_told_and_not_into_the_run(tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    shown(capsys, folder, "--page", tmp_path / "page.html")
    assert (tmp_path / "page.html").is_file() and not (folder / "report.html").exists()


@pytest.mark.parametrize("name", ["json", "csv", "markdown", "latex"])
def test_a_format_is_all_that_is_printed_and_nothing_is_written(name, tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT, planned=["direct", "base"], finished=False)
    before = sorted(tmp_path.rglob("*"))
    assert main(["show", str(folder), f"--{name}"]) == 0
    out, err = capsys.readouterr()
    run = read_so_far(folder)
    assert out == FORMATS[name](run.results, [run]) + "\n" and err == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_figure_beside_a_format_is_named_on_standard_error(tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    figure = tmp_path / "x.svg"
    assert main(["show", str(folder), "--json", "--figure", str(figure)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["baseline"] == "direct" and str(figure) in err


def test_another_baseline_is_tested_from_the_kept_answers(tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    assert main(["show", str(folder), "--baseline", "base", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["baseline"] == "base"
    (test,) = content["tests"]
    assert (test["arm"], round(test["difference"], 1)) == ("direct", 33.3)


def test_an_output_that_is_a_file_of_the_run_is_refused(tmp_path, capsys):
    folder = make_kept_run(tmp_path / "run", RIGHT)
    assert main(["show", str(folder), "--page", str(folder / "results.json")]) == 2
    assert "the same file as the input" in capsys.readouterr().err
